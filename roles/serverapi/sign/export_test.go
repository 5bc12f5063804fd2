package sign

// WithParameters is for the test that takes a signature of somebody else's.
func WithParameters(input Input, parameters string) Input {
	input.parameters = parameters
	return input
}
