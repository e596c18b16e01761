// Franz-go, for the jobs that the other clients do in compare: the same command line, settings and line of figures.
//
//	franz produce ADDRESS RECORDS BYTES
//	franz throughput ADDRESS SECONDS BYTES
//	franz latency ADDRESS RATE SECONDS
//	franz first ADDRESS
//	franz consume ADDRESS TOPIC PARTITIONS RECORDS
//	franz deliver ADDRESS TOPIC PARTITIONS RECORDS
//	franz idle ADDRESS TOPIC PARTITIONS SECONDS
//	franz rebalance ADDRESS TOPIC PARTITIONS MEMBERS
//
// COMPARE_PAYLOAD names the file of values that `compare payload` writes (for those that produce, but for `first`).
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	windowRecords = 100_000
	windowBytes   = 32 << 20
	latencyBytes  = 100
)

func main() {
	words := append(os.Args[1:], "", "", "", "", "")
	mode, address := words[0], words[1]
	batches := map[string]string{"linger.ms": "5", "batch.size": "1000000"}
	atOnce := map[string]string{"linger.ms": "0", "batch.size": "1000000"}
	switch mode {
	case "produce":
		records, bytes := number(words[2]), number(words[3])
		c := connect(address, "compare", window(bytes), batches)
		pool := load(bytes)
		c.fill(counted(pool, records/10))
		watch := start()
		c.fill(counted(pool, records))
		watch.report(records, "")
	case "throughput":
		seconds, bytes := number(words[2]), number(words[3])
		c := connect(address, "compare-one", 0, nil)
		c.sustain(counted(load(bytes), 1<<62), time.Duration(seconds)*time.Second)
	case "latency":
		rate, seconds := number(words[2]), number(words[3])
		c := connect(address, "compare", windowRecords, atOnce)
		pool := load(latencyBytes)
		c.paced(counted(pool, rate), rate, rate)
		watch := start()
		latencies := c.paced(counted(pool, rate*seconds), rate, rate*seconds)
		watch.report(rate*seconds, latencies)
	case "first":
		c := connect(address, "compare", windowRecords, atOnce)
		c.fill(counted([][]byte{make([]byte, latencyBytes)}, 1))
		fmt.Println("franz-go acknowledged")
	case "consume":
		consume(address, words[2], number(words[3]), number(words[4]))
	case "deliver":
		deliver(address, words[2], number(words[3]), number(words[4]))
	case "idle":
		idle(address, words[2], number(words[3]), time.Duration(number(words[4]))*time.Second)
	case "rebalance":
		rebalance(address, words[2], number(words[3]), number(words[4]))
	default:
		fail(fmt.Errorf("no job %q", mode))
	}
}

// Window is how many records may wait for their acknowledgement.
func window(bytes int) int {
	if given := os.Getenv("COMPARE_WINDOW"); given != "" {
		return number(given)
	}
	return min(windowRecords, windowBytes/bytes)
}

func number(word string) int {
	n, err := strconv.Atoi(word)
	fail(err)
	return n
}

func fail(err error) {
	if err != nil {
		panic(err)
	}
}
