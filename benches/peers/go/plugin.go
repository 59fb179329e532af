// A plugin. Each build of it has a path of its own, because the loader gives the first one back for a path that it knows.
package main

import "math"

// Version is set by the linker.
var Version = "0"

// Next is one more.
func Next(number uint64) uint64 {
	if number == math.MaxUint64 {
		panic("nobody counts that far")
	}
	return number + 1
}

// Tell says which build it is.
func Tell() string { return Version }

func main() {}
