// Franz is franz-go as the interoperability tests use it: each word of its command line is one thing to do with a broker, and
// what it finds is printed in lines.
//
//	franz BROKERS [key=value]... WORK [ARGUMENT]...
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Nothing of this takes longer on a broker that works.
const patience = 30 * time.Second

func main() {
	given, words := map[string]string{}, os.Args[2:]
	for strings.Contains(words[0], "=") {
		key, value, _ := strings.Cut(words[0], "=")
		given[key], words = value, words[1:]
	}
	options := append(security(given), kgo.SeedBrokers(strings.Split(os.Args[1], ",")...))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	work, arguments := words[0], words[1:]
	works := map[string]func(context.Context, []kgo.Opt, []string){
		"metadata": metadata, "offsets": offsets, "produce": produce, "consume": consume, "transact": transact,
	}
	works[work](ctx, options, arguments)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	fail(err)
	return value
}

func security(given map[string]string) []kgo.Opt {
	var options []kgo.Opt
	if user, ok := given["user"]; ok {
		auth := scram.Auth{User: user, Pass: given["password"]}
		options = append(options, kgo.SASL(auth.AsSha512Mechanism()))
	}
	if file, ok := given["ca"]; ok {
		pem, err := os.ReadFile(file)
		fail(err)
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			fail(fmt.Errorf("%s holds no certificate", file))
		}
		options = append(options, kgo.DialTLSConfig(&tls.Config{RootCAs: roots}))
	}
	return options
}

func connect(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(options...)
	fail(err)
	return client
}

// Metadata prints each partition of a topic with its leader.
func metadata(ctx context.Context, options []kgo.Opt, arguments []string) {
	client := connect(options...)
	defer client.Close()
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(arguments[0])
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(ctx, client)
	fail(err)
	fmt.Println("brokers", len(answer.Brokers))
	for _, topic := range answer.Topics {
		fail(kerr.ErrorForCode(topic.ErrorCode))
		for _, partition := range topic.Partitions {
			fmt.Println("partition", partition.Partition, "leader", partition.Leader)
		}
	}
}

// Offsets prints where each partition of a topic begins and ends.
func offsets(ctx context.Context, options []kgo.Opt, arguments []string) {
	client := connect(options...)
	defer client.Close()
	for _, at := range []int64{-2, -1} {
		request := kmsg.NewPtrListOffsetsRequest()
		request.ReplicaID = -1
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = arguments[0]
		for index := range number(arguments[1]) {
			partition := kmsg.NewListOffsetsRequestTopicPartition()
			partition.Partition, partition.Timestamp = int32(index), at
			topic.Partitions = append(topic.Partitions, partition)
		}
		request.Topics = append(request.Topics, topic)
		for _, shard := range client.RequestSharded(ctx, request) {
			fail(shard.Err)
			for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
				for _, partition := range topic.Partitions {
					fail(kerr.ErrorForCode(partition.ErrorCode))
					fmt.Println(at, partition.Partition, partition.Offset)
				}
			}
		}
	}
}

// Produce writes so many records with keys, and prints where each lies.
func produce(ctx context.Context, options []kgo.Opt, arguments []string) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	client := connect(append(options, kgo.ProducerBatchCompression(codecs[arguments[2]]))...)
	defer client.Close()
	records := records(arguments[0], arguments[2], number(arguments[1]))
	for _, result := range client.ProduceSync(ctx, records...) {
		fail(result.Err)
		fmt.Println(result.Record.Partition, result.Record.Offset, string(result.Record.Value))
	}
}

func records(topic, prefix string, count int) []*kgo.Record {
	records := make([]*kgo.Record, count)
	for n := range records {
		value := fmt.Sprintf("%s-%d %s", prefix, n, strings.Repeat("the same again ", 5))
		header := kgo.RecordHeader{Key: "number", Value: []byte(strconv.Itoa(n))}
		records[n] = &kgo.Record{
			Topic: topic, Key: []byte(strconv.Itoa(n % 17)), Value: []byte(value), Headers: []kgo.RecordHeader{header},
		}
	}
	return records
}

// Consume reads so many records as a member of a group, prints and commits them. With 0 it reads until nothing came for a
// while.
func consume(ctx context.Context, options []kgo.Opt, arguments []string) {
	options = append(options,
		kgo.ConsumerGroup(arguments[0]),
		kgo.ConsumeTopics(arguments[1]),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit())
	client := connect(options...)
	defer client.Close()
	wanted := number(arguments[2])
	for count := 0; wanted == 0 || count < wanted; {
		polling, cancel := ctx, context.CancelFunc(func() {})
		if wanted == 0 {
			polling, cancel = context.WithTimeout(ctx, 3*time.Second)
		}
		fetches := client.PollFetches(polling)
		late := polling.Err() != nil
		cancel()
		if wanted == 0 && late {
			return
		}
		fail(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Println(record.Partition, record.Offset, string(record.Value))
			count++
		})
		fail(client.CommitUncommittedOffsets(ctx))
	}
	client.LeaveGroup()
}

// Transact writes records in a transaction that is aborted, and then in one that is committed.
func transact(ctx context.Context, options []kgo.Opt, arguments []string) {
	client := connect(append(options, kgo.TransactionalID(arguments[0]))...)
	defer client.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		fail(client.BeginTransaction())
		prefix := map[kgo.TransactionEndTry]string{kgo.TryAbort: "aborted", kgo.TryCommit: "committed"}[end]
		results := client.ProduceSync(ctx, records(arguments[1], prefix, number(arguments[2]))...)
		fail(results.FirstErr())
		fail(client.EndTransaction(ctx, end))
	}
}
