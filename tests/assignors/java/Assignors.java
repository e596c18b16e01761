import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.AbstractPartitionAssignor;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Random groups, and what Kafka's own assignors make of them. {@code tests/assignors/make} runs it; {@code main.rs} beside it
 * says how the lines read. The seed of a group is its number: the same Kafka gives the same file.
 */
public final class Assignors {
    /** A member as it joins. */
    record Member(String id, String instance, String rack, List<String> topics, List<TopicPartition> owned, int generation) {
        Member with(List<String> topics, List<TopicPartition> owned, int generation) {
            return new Member(id, instance, rack, topics, owned, generation);
        }

        /** As it comes to the leader. Only {@code range} is told of racks: ours are sticky without. */
        Subscription subscription(boolean racks) {
            Subscription subscription = new Subscription(topics, userData(), owned, generation,
                racks ? Optional.ofNullable(rack) : Optional.empty());
            subscription.setGroupInstanceId(Optional.ofNullable(instance));
            return subscription;
        }

        /** What the sticky assignor remembers, version 1. */
        private ByteBuffer userData() {
            ByteBuffer data = ByteBuffer.allocate(65536);
            Map<String, List<TopicPartition>> byTopic =
                owned.stream().collect(Collectors.groupingBy(TopicPartition::topic, TreeMap::new, Collectors.toList()));
            data.putInt(byTopic.size());
            byTopic.forEach((topic, partitions) -> {
                byte[] name = topic.getBytes(StandardCharsets.UTF_8);
                data.putShort((short) name.length).put(name).putInt(partitions.size());
                partitions.forEach(partition -> data.putInt(partition.partition()));
            });
            data.putInt(generation);
            return data.flip();
        }
    }

    /** A group and its topics. */
    record Group(Map<String, List<PartitionInfo>> topics, List<Member> members) {
        Map<String, List<TopicPartition>> assign(AbstractPartitionAssignor assignor) {
            Set<String> wanted = new HashSet<>();
            Map<String, Subscription> subscriptions = new TreeMap<>();
            for (Member member : members) {
                wanted.addAll(member.topics);
                subscriptions.put(member.id, member.subscription(assignor instanceof RangeAssignor));
            }
            Map<String, List<PartitionInfo>> known = new TreeMap<>(topics);
            known.entrySet().removeIf(topic -> topic.getValue().isEmpty() || !wanted.contains(topic.getKey()));
            return new TreeMap<>(assignor.assignPartitions(known, subscriptions));
        }

        /** Everybody does as told. */
        Group follow(Map<String, List<TopicPartition>> assigned) {
            return new Group(topics, members.stream()
                .map(member -> member.with(member.topics, assigned.get(member.id), 100)).toList());
        }

        /** How many partitions left the one member that claimed them with the highest generation and still wants their topic. */
        int moves(Map<String, List<TopicPartition>> assigned) {
            int moves = 0;
            for (Member member : members) {
                for (TopicPartition owned : member.owned) {
                    long rivals = members.stream()
                        .filter(other -> other.owned.contains(owned) && other.generation >= member.generation).count();
                    if (rivals == 1 && member.topics.contains(owned.topic()) && !assigned.get(member.id).contains(owned)) {
                        moves++;
                    }
                }
            }
            return moves;
        }
    }

    private final Random random;

    private Assignors(long seed) {
        // The first numbers of neighbouring seeds are alike.
        random = new Random(seed * 0x9e3779b97f4a7c15L);
    }

    public static void main(String[] args) {
        System.out.println("# Written by tests/assignors/make with Kafka's own assignors; main.rs says how it reads.");
        int small = Integer.parseInt(args[0]);
        int large = Integer.parseInt(args[1]);
        for (int seed = 0; seed < small + large; seed++) {
            System.out.printf("group %d%n", seed);
            print(new Assignors(seed).group(seed >= small));
        }
    }

    private static void print(Group group) {
        group.topics.forEach((name, partitions) -> System.out.printf("topic %s %d%s%n", name, partitions.size(),
            partitions.stream().map(Assignors::racks).collect(Collectors.joining())));
        for (Member member : group.members) {
            System.out.printf("member %s %s %s %d %s %s%n", member.id, or(member.instance), or(member.rack),
                member.generation, or(String.join(",", member.topics)), partitions(member.owned));
        }
        for (AbstractPartitionAssignor assignor : List.of(new RangeAssignor(), new RoundRobinAssignor())) {
            System.out.print(assignor.name());
            group.assign(assignor).forEach((member, share) -> System.out.printf(" %s=%s", member, partitions(share)));
            System.out.println();
        }
        // Kafka gives partitions to members that want none when one of those is looked at first.
        if (group.members.stream().noneMatch(member -> member.topics.isEmpty())) {
            print("sticky", group, false);
            print("cooperative-sticky", group, true);
        }
    }

    /** How even the sticky assignors are, and what they move; of the cooperative one until a round changes nothing more. */
    private static void print(String name, Group group, boolean cooperative) {
        int moves = 0;
        Map<String, List<TopicPartition>> last = null;
        try {
            for (int round = 0; round < (cooperative ? 10 : 1); round++) {
                var assigned = group.assign(cooperative ? new CooperativeStickyAssignor() : new StickyAssignor());
                moves += group.moves(assigned);
                if (assigned.equals(last)) {
                    break;
                }
                last = assigned;
                group = group.follow(assigned);
            }
        } catch (NullPointerException e) {
            // Kafka 4.3.1 stumbles over an owner of an older generation that has all it can have.
            return;
        }
        System.out.printf("%s %d %d%n", name, squares(last), moves);
    }

    /** How uneven an assignment is. */
    private static int squares(Map<String, List<TopicPartition>> assigned) {
        return assigned.values().stream().mapToInt(share -> share.size() * share.size()).sum();
    }

    private static String or(String text) {
        return text == null || text.isEmpty() ? "-" : text;
    }

    /** The racks of a partition's replicas; nothing when it has none that are known of. */
    private static String racks(PartitionInfo partition) {
        List<String> racks = new ArrayList<>();
        for (Node replica : partition.replicas()) {
            racks.add(or(replica.rack()));
        }
        return racks.isEmpty() ? "" : " " + String.join(",", racks);
    }

    /** {@code t0:0,1;t2:4}. */
    private static String partitions(Collection<TopicPartition> partitions) {
        Map<String, TreeSet<Integer>> byTopic = new TreeMap<>();
        partitions.forEach(partition ->
            byTopic.computeIfAbsent(partition.topic(), topic -> new TreeSet<>()).add(partition.partition()));
        return or(byTopic.entrySet().stream()
            .map(topic -> topic.getKey() + ":" + topic.getValue().stream().map(String::valueOf).collect(Collectors.joining(",")))
            .collect(Collectors.joining(";")));
    }

    private boolean oneIn(int n) {
        return random.nextInt(n) == 0;
    }

    private Group group(boolean large) {
        boolean like = random.nextBoolean();
        boolean racks = oneIn(3);
        boolean mayWantNothing = oneIn(6);
        // Topics that are alike in size are kept together by range.
        boolean alike = oneIn(3);
        int size = random.nextInt(8);
        Map<String, List<PartitionInfo>> topics = new TreeMap<>();
        int count = large ? 12 : 1 + random.nextInt(4);
        for (int topic = 0; topic < count; topic++) {
            int partitions = large ? 10 + random.nextInt(20) : alike ? size : random.nextInt(8);
            topics.put("t" + topic, topic("t" + topic, partitions, racks));
        }
        List<Member> members = new ArrayList<>();
        int number = large ? 20 : 1 + random.nextInt(6);
        boolean fixed = oneIn(3);
        List<String> all = wants(count, false);
        for (int i = 0; i < number; i++) {
            String instance = fixed && random.nextBoolean() ? "i" + (char) ('a' + (i * 7 + number) % 26) : null;
            String rack = racks && !oneIn(4) ? "r" + random.nextInt(3) : null;
            members.add(new Member("m" + (char) ('a' + (i * 11 + number) % 26), instance, rack,
                like ? all : wants(count, mayWantNothing), List.of(), -1));
        }
        return since(new Group(topics, members), like, count, mayWantNothing);
    }

    private List<PartitionInfo> topic(String name, int partitions, boolean racks) {
        List<PartitionInfo> infos = new ArrayList<>();
        for (int partition = 0; partition < partitions; partition++) {
            Node[] replicas = new Node[racks ? 1 + random.nextInt(2) : 0];
            for (int i = 0; i < replicas.length; i++) {
                replicas[i] = new Node(i, "host", 9092, oneIn(9) ? null : "r" + random.nextInt(4));
            }
            infos.add(new PartitionInfo(name, partition, null, replicas, replicas));
        }
        return infos;
    }

    /** Some topics; one more than there are may be among them. */
    private List<String> wants(int count, boolean mayBeNone) {
        List<String> topics = new ArrayList<>();
        for (int topic = 0; topic <= count; topic++) {
            if (random.nextInt(5) < 3) {
                topics.add("t" + topic);
            }
        }
        return topics.isEmpty() && !mayBeNone ? List.of("t0") : topics;
    }

    /** What the group is like after members left and joined, changed their minds, or were away for a while. */
    private Group since(Group group, boolean like, int count, boolean mayWantNothing) {
        if (oneIn(4) || group.members.stream().anyMatch(member -> member.topics.isEmpty())) {
            return group;
        }
        List<Member> early = group.members.stream().filter(member -> !oneIn(3)).toList();
        if (early.isEmpty()) {
            return group;
        }
        var before = new Group(group.topics, early).assign(new StickyAssignor());
        boolean confused = oneIn(4);
        List<Member> after = new ArrayList<>();
        for (Member member : group.members) {
            List<TopicPartition> owned = new ArrayList<>(before.getOrDefault(member.id, List.of()));
            int generation = early.contains(member) ? 7 : -1;
            if (confused && random.nextBoolean()) {
                generation = 5 + random.nextInt(3);
                before.values().stream().flatMap(List::stream).filter(partition -> oneIn(4) && !owned.contains(partition))
                    .forEach(owned::add);
            }
            List<String> topics = !like && oneIn(4) ? wants(count, mayWantNothing) : member.topics;
            switch (random.nextInt(8)) {
                case 0 -> { }
                case 1 -> after.add(member.with(topics, List.of(), -1));
                default -> after.add(member.with(topics, owned, generation));
            }
        }
        return after.isEmpty() ? group : new Group(group.topics, after);
    }
}
