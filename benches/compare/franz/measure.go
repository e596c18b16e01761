package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type stopwatch struct {
	began time.Time
	cpu   time.Duration
}

func start() stopwatch { return stopwatch{time.Now(), cpu()} }

func (s stopwatch) report(records int, more string) {
	elapsed, used := time.Since(s.began), cpu()-s.cpu
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(records) }
	fmt.Printf("franz-go cpu_us=%.4f elapsed_us=%.4f per_second=%.0f records=%d rss_mib=%.1f%s\n",
		each(used), each(elapsed), float64(records)/elapsed.Seconds(), records, peakMiB(), more)
}

func words(sorted []time.Duration) string {
	at := func(part float64) float64 {
		index := min(int(float64(len(sorted))*part), len(sorted)-1)
		return float64(sorted[index].Nanoseconds()) / 1e6
	}
	return fmt.Sprintf(" p50_ms=%.4f p99_ms=%.4f max_ms=%.3f", at(0.5), at(0.99), at(1))
}

// User and system time of the whole process.
func cpu() time.Duration {
	var t unix.Timespec
	fail(unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t))
	return time.Duration(t.Nano())
}

func peakMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	fail(err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	return float64(number(strings.Fields(rest)[0])) / 1024
}

// Values in turn, until there were so many.
type values struct {
	pool         [][]byte
	given, limit int
}

func load(bytes int) [][]byte {
	all, err := os.ReadFile(os.Getenv("COMPARE_PAYLOAD"))
	fail(err)
	var pool [][]byte
	for at := 0; at+bytes <= len(all); at += bytes {
		pool = append(pool, all[at:at+bytes])
	}
	return pool
}

func counted(pool [][]byte, limit int) *values { return &values{pool: pool, limit: limit} }

func (v *values) next() []byte {
	if v.given == v.limit {
		return nil
	}
	v.given++
	return v.pool[(v.given-1)%len(v.pool)]
}

// Ticks from a timer of the kernel that is waited for as for a socket: timers of the runtime count in milliseconds when
// there is nothing else to do.
type ticks struct {
	timer          *os.File
	first          time.Time
	interval       time.Duration
	expired, given uint64
}

func begin(rate int) *ticks {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK)
	fail(err)
	interval := time.Second / time.Duration(rate)
	spec := unix.NsecToTimespec(interval.Nanoseconds())
	first := time.Now().Add(interval)
	fail(unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: spec, Value: spec}, nil))
	return &ticks{timer: os.NewFile(uintptr(fd), "timer"), first: first, interval: interval}
}

// Wait gives the time at which the next tick was due, which may have passed.
func (t *ticks) wait() time.Time {
	if t.given == t.expired {
		var count [8]byte
		_, err := t.timer.Read(count[:])
		fail(err)
		t.expired += binary.NativeEndian.Uint64(count[:])
	}
	t.given++
	return t.first.Add(time.Duration(t.given-1) * t.interval)
}
