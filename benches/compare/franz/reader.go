package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// WarmUp is a second's records of a feed.
const warmUp = 50

// Reader assigns the first partitions of a topic; nobody is in a group. There may be many addresses, with commas between.
func reader(address, topic string, partitions int, from kgo.Offset) *kgo.Client {
	offsets := map[int32]kgo.Offset{}
	for partition := range partitions {
		offsets[int32(partition)] = from
	}
	given := given(nil)
	options := append(security(given), kgo.SeedBrokers(strings.Split(address, ",")...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	for key := range given {
		panic("setting " + key + " is not wired up here")
	}
	kafka, err := kgo.NewClient(options...)
	fail(err)
	return kafka
}

// Read shows each record to see until it says that it has seen enough, or the time is over; none is for ever.
func read(kafka *kgo.Client, limit time.Duration, see func(*kgo.Record) bool) {
	ctx := context.Background()
	if limit > 0 {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = limited
	}
	for {
		fetches := kafka.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		for _, failure := range fetches.Errors() {
			fail(failure.Err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			if !see(records.Next()) {
				return
			}
		}
	}
}

// Consume counts, and holds offsets to be contiguous.
func consume(address, topic string, partitions, records int) {
	watch := start()
	next := make([]int64, partitions)
	left, bytes := records, 0
	kafka := reader(address, topic, partitions, kgo.NewOffset().AtStart())
	read(kafka, 0, func(record *kgo.Record) bool {
		if record.Offset != next[record.Partition] {
			fail(fmt.Errorf("partition %d: offset %d, not %d", record.Partition, record.Offset, next[record.Partition]))
		}
		next[record.Partition]++
		bytes += len(record.Key) + len(record.Value)
		left--
		return left > 0
	})
	watch.report(records, fmt.Sprintf(" bytes=%d", bytes))
}

// Deliver reads out of each value when it was sent, from the end on, after the records of the first second.
func deliver(address, topic string, partitions, records int) {
	watch := start()
	skip := warmUp
	var latencies []time.Duration
	read(reader(address, topic, partitions, kgo.NewOffset().AtEnd()), 0, func(record *kgo.Record) bool {
		if skip > 0 {
			skip--
			return true
		}
		var now unix.Timespec
		fail(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
		sent := binary.BigEndian.Uint64(record.Value)
		latencies = append(latencies, time.Duration(uint64(now.Nano())-sent))
		return len(latencies) < records
	})
	slices.Sort(latencies)
	watch.report(records, words(latencies))
}

// Idle waits for what does not come.
func idle(address, topic string, partitions int, limit time.Duration) {
	watch := start()
	read(reader(address, topic, partitions, kgo.NewOffset().AtStart()), limit, func(*kgo.Record) bool {
		panic("there is nothing to read")
	})
	watch.report(1, fmt.Sprintf(" cpu_s=%.4f", (cpu()-watch.cpu).Seconds()))
}
