package metrics

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"aspects-poc/roles/internal/exposition"
)

// writeProcess writes the figures of the process, which started at begun. They have the names that Prometheus' client
// libraries give them. A figure that the system does not supply is absent.
func writeProcess(text *bytes.Buffer, begun time.Time) {
	write := func(name string, kind exposition.Kind, help, value string) {
		exposition.Family{Name: name, Kind: kind, Help: help}.Write(text, exposition.Sample{Value: value})
	}
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil {
		seconds := time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
		write("process_cpu_seconds_total", exposition.Counter, "Processor time of the process, in seconds.", exposition.Number(seconds))
	}
	if pages, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(pages)); len(fields) > 1 {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				write("process_resident_memory_bytes", exposition.Gauge, "Resident memory.", exposition.Count(n*int64(os.Getpagesize())))
			}
		}
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		write("process_open_fds", exposition.Gauge, "Open file descriptors.", exposition.Count(len(open)))
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		write("process_max_fds", exposition.Gauge, "The most open file descriptors.", exposition.Count(limit.Cur))
	}
	write("process_start_time_seconds", exposition.Gauge, "When the process started, in seconds since 1970.", exposition.Count(begun.Unix()))
	write("go_goroutines", exposition.Gauge, "Goroutines.", exposition.Count(runtime.NumGoroutine()))
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	write("go_memstats_heap_alloc_bytes", exposition.Gauge, "Bytes of objects on the heap.", exposition.Count(memory.HeapAlloc))
	write("go_memstats_sys_bytes", exposition.Gauge, "Bytes that the Go runtime has from the system.", exposition.Count(memory.Sys))
}
