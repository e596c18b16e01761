package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Shares is how many partitions each member has.
type shares struct {
	sync.Mutex
	of      map[int]int
	changed chan struct{}
}

func (s *shares) change(member, by int) {
	s.Lock()
	s.of[member] += by
	s.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Settled waits until everything is shared out evenly among so many.
func (s *shares) settled(members, partitions int) {
	for deadline := time.After(120 * time.Second); ; {
		s.Lock()
		count, sum, least, most := 0, 0, partitions, 0
		for _, share := range s.of {
			if share > 0 {
				count, sum, least, most = count+1, sum+share, min(least, share), max(most, share)
			}
		}
		s.Unlock()
		if count == members && sum == partitions && most-least <= 1 {
			return
		}
		select {
		case <-s.changed:
		case <-deadline:
			fail(fmt.Errorf("the group does not settle"))
		}
	}
}

// Rebalance lets members gather, one leave and another one join, and says how long each took.
func rebalance(address, topic string, partitions, members int) {
	group := fmt.Sprintf("compare-%d", os.Getpid())
	s := &shares{of: map[int]int{}, changed: make(chan struct{}, 1)}
	start := func(number int) *kgo.Client {
		count := func(parts map[string][]int32) int {
			sum := 0
			for _, part := range parts {
				sum += len(part)
			}
			return sum
		}
		less := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { s.change(number, -count(parts)) }
		kafka, err := kgo.NewClient(
			kgo.SeedBrokers(strings.Split(address, ",")...),
			kgo.ConsumerGroup(group),
			kgo.ConsumeTopics(topic),
			kgo.Balancers(kgo.CooperativeStickyBalancer()),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
				s.change(number, count(parts))
			}),
			kgo.OnPartitionsRevoked(less), kgo.OnPartitionsLost(less))
		fail(err)
		go func() {
			for !kafka.PollFetches(context.Background()).IsClientClosed() {
			}
		}()
		return kafka
	}
	began := time.Now()
	clients := make([]*kgo.Client, members)
	for number := range members {
		clients[number] = start(number)
	}
	s.settled(members, partitions)
	gathered := time.Since(began).Milliseconds()
	began = time.Now()
	clients[members-1].Close()
	s.Lock()
	delete(s.of, members-1)
	s.Unlock()
	s.settled(members-1, partitions)
	left := time.Since(began).Milliseconds()
	began = time.Now()
	start(members)
	s.settled(members, partitions)
	joined := time.Since(began).Milliseconds()
	fmt.Printf("franz-go rebalance gather_ms=%d leave_ms=%d join_ms=%d\n", gathered, left, joined)
}
