package world

// OpenOn opens a machine whose state another function than durable.Write stores.
var OpenOn = open
