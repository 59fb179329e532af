// Measures what Go's plugins cost, and prints a line `name value` for each figure. The arguments are the plugins, each
// a build of the same source with a path of its own.
package main

import (
	"fmt"
	"os"
	"plugin"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type method = func(uint64) uint64

// What callers load the function from, so that another can take its place.
var current atomic.Value

func main() {
	paths := os.Args[1:]
	// The first one also loads what all of them share.
	swap(paths[0])
	before := resident()
	var times []float64
	for _, path := range paths[1:] {
		times = append(times, swap(path))
	}
	after := resident()
	fmt.Println("open_ns", median(times))
	fmt.Println("swap_bytes", float64(after-before)/float64(len(times)))
	for threads := 1; threads <= 2; threads++ {
		direct, stored := calls(threads)
		fmt.Printf("direct_%d_ns %v\n", threads, direct)
		fmt.Printf("stored_%d_ns %v\n", threads, stored)
	}
}

// From the plugin's file to the first answer, in nanoseconds.
func swap(path string) float64 {
	started := time.Now()
	opened, err := plugin.Open(path)
	check(err)
	next, err := opened.Lookup("Next")
	check(err)
	current.Store(next.(method))
	answer := current.Load().(method)(1)
	took := time.Since(started)
	tell, err := opened.Lookup("Tell")
	check(err)
	if answer != 2 || !strings.Contains(path, tell.(func() string)()) {
		panic("it isn't the plugin of that path")
	}
	return float64(took.Nanoseconds())
}

// What a call costs in nanoseconds, by the function and through the value. The two take turns.
func calls(threads int) (float64, float64) {
	const rounds, count = 50, 1000000
	direct := current.Load().(method)
	byFunction := func() (number uint64) {
		for number < count {
			number = direct(number)
		}
		return
	}
	throughValue := func() (number uint64) {
		for number < count {
			number = current.Load().(method)(number)
		}
		return
	}
	var directly, stored []float64
	for round := 0; round < rounds; round++ {
		directly = append(directly, onThreads(threads, byFunction)/count)
		stored = append(stored, onThreads(threads, throughValue)/count)
	}
	return median(directly), median(stored)
}

// How long it takes on so many threads at once, in nanoseconds: the mean.
func onThreads(threads int, work func() uint64) float64 {
	took := make([]time.Duration, threads)
	var done sync.WaitGroup
	for thread := 0; thread < threads; thread++ {
		done.Add(1)
		go func(thread int) {
			defer done.Done()
			runtime.LockOSThread()
			started := time.Now()
			work()
			took[thread] = time.Since(started)
		}(thread)
	}
	done.Wait()
	var sum time.Duration
	for _, one := range took {
		sum += one
	}
	return float64(sum.Nanoseconds()) / float64(threads)
}

// The memory that the process has in use, in bytes, without what Go could give back.
func resident() int64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	check(err)
	for _, line := range strings.Split(string(text), "\n") {
		var kibibytes int64
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &kibibytes); err == nil {
			return kibibytes * 1024
		}
	}
	panic("Linux shows a process its own memory")
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[(len(values)-1)/2]
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
