package lint

type Snap struct{}

func (c *checker) checkSnaps() {}
