package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

type client struct {
	kafka *kgo.Client
	topic string
}

// Connect takes Kafka's names. All acknowledgements, idempotence and five requests in flight are franz-go's own defaults.
// A window of 0 leaves its own too.
func connect(address, topic string, window int, settings map[string]string) client {
	given := given(settings)
	options := append(security(given),
		kgo.SeedBrokers(address),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if window > 0 {
		options = append(options, kgo.MaxBufferedRecords(window))
	}
	for key, value := range given {
		switch key {
		case "linger.ms":
			options = append(options, kgo.ProducerLinger(time.Duration(number(value))*time.Millisecond))
		case "batch.size":
			options = append(options, kgo.ProducerBatchMaxBytes(int32(number(value))))
		case "compression.type":
			codecs := map[string]kgo.CompressionCodec{
				"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
			}
			options = append(options, kgo.ProducerBatchCompression(codecs[value]))
		case "acks", "enable.idempotence": // as it is anyway
		default:
			panic("setting " + key + " is not wired up here")
		}
	}
	kafka, err := kgo.NewClient(options...)
	fail(err)
	return client{kafka, topic}
}

// Given is what the environment says, beside the job's settings or in their place.
func given(settings map[string]string) map[string]string {
	all := map[string]string{}
	for key, value := range settings {
		all[key] = value
	}
	for _, word := range strings.Fields(os.Getenv("COMPARE_SETTINGS")) {
		key, value, _ := strings.Cut(word, "=")
		all[key] = value
	}
	return all
}

// Security takes out of the settings who to be, and how to connect.
func security(given map[string]string) []kgo.Opt {
	var options []kgo.Opt
	if user, ok := given["sasl.username"]; ok {
		auth := plain.Auth{User: user, Pass: given["sasl.password"]}
		options = append(options, kgo.SASL(auth.AsMechanism()))
	}
	if file, ok := given["ssl.ca.location"]; ok {
		pem, err := os.ReadFile(file)
		fail(err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		options = append(options, kgo.DialTLSConfig(&tls.Config{RootCAs: roots}))
	}
	for _, key := range []string{
		"security.protocol", "sasl.mechanism", "sasl.username", "sasl.password", "ssl.ca.location",
	} {
		delete(given, key)
	}
	return options
}

// Fill hands over each value on its own and hears of each by its own promise. Produce blocks while the buffer is full.
func (c client) fill(v *values) {
	var waiting sync.WaitGroup
	promise := func(_ *kgo.Record, err error) {
		fail(err)
		waiting.Done()
	}
	for value := v.next(); value != nil; value = v.next() {
		waiting.Add(1)
		c.kafka.Produce(context.Background(), &kgo.Record{Value: value}, promise)
	}
	waiting.Wait()
}

// Sustain does the same without an end, measures what is acknowledged between two points in time, from a second on, and
// leaves what is on its way then.
func (c client) sustain(v *values, d time.Duration) {
	var heard atomic.Int64
	var before int64
	promise := func(_ *kgo.Record, err error) {
		fail(err)
		heard.Add(1)
	}
	warm := time.Now().Add(time.Second)
	end := warm.Add(d)
	var watch stopwatch
	for value := v.next(); value != nil; value = v.next() {
		if v.given%64 == 0 {
			now := time.Now()
			if watch.began.IsZero() && now.After(warm) {
				watch, before = start(), heard.Load()
			}
			if now.After(end) {
				watch.report(int(heard.Load()-before), "")
				return
			}
		}
		c.kafka.Produce(context.Background(), &kgo.Record{Value: value}, promise)
	}
}

// Paced hands over a value at each tick; what comes back is how long acknowledgements took, as words of the line.
func (c client) paced(v *values, rate, count int) string {
	latencies := make([]time.Duration, count)
	var heard atomic.Int64
	var waiting sync.WaitGroup
	t := begin(rate)
	for range count {
		due := t.wait()
		waiting.Add(1)
		c.kafka.Produce(context.Background(), &kgo.Record{Value: v.next()}, func(_ *kgo.Record, err error) {
			fail(err)
			latencies[heard.Add(1)-1] = time.Since(due)
			waiting.Done()
		})
	}
	waiting.Wait()
	slices.Sort(latencies)
	return words(latencies)
}
