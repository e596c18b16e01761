import java.io.PrintWriter;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ConsumerProtocolAssignment;
import org.apache.kafka.common.message.ConsumerProtocolSubscription;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Writes messages with Kafka's own classes: each API named on the command line, each version, several fillings.
 *
 * <p>The classes are filled by reflection, along the schema that each version has of itself, so that this program knows
 * nothing of any message. Numbers are drawn from a generator whose seed is the name of what is filled: the same Kafka
 * gives the same files. {@code tests/vectors/make} runs it.
 */
public final class Vectors {
    /** What a message is filled with. */
    enum Filling {
        /** Nothing: a message as it is created. */
        DEFAULT,
        /** Every field set, nothing null, one or two elements in each list. */
        FULL,
        /** As FULL, but null wherever the version allows it. */
        NULLS,
        /** Anything, twice. */
        RANDOM1,
        RANDOM2,
        /** FULL, and in each struct tagged fields that no version knows. Flexible versions only. */
        FOREIGN
    }

    /** Makes an empty message. */
    interface Maker {
        Message make() throws Exception;
    }

    private final Filling filling;
    private final Random random;

    private Vectors(Filling filling, String seed) {
        this.filling = filling;
        this.random = new Random(seed.hashCode());
    }

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        try (PrintWriter out = open(folder, "headers")) {
            versions(out, "RequestHeader", RequestHeaderData.SCHEMAS, RequestHeaderData::new);
            versions(out, "ResponseHeader", ResponseHeaderData.SCHEMAS, ResponseHeaderData::new);
        }
        try (PrintWriter out = open(folder, "consumer_protocol")) {
            versions(out, "ConsumerProtocolSubscription", ConsumerProtocolSubscription.SCHEMAS, ConsumerProtocolSubscription::new);
            versions(out, "ConsumerProtocolAssignment", ConsumerProtocolAssignment.SCHEMAS, ConsumerProtocolAssignment::new);
            structs(out, "StickyAssignorUserData", schema(StickyAssignor.class, "STICKY_ASSIGNOR_USER_DATA_V0"),
                schema(StickyAssignor.class, "STICKY_ASSIGNOR_USER_DATA_V1"));
            structs(out, "CooperativeStickyAssignorUserData",
                schema(CooperativeStickyAssignor.class, "COOPERATIVE_STICKY_ASSIGNOR_USER_DATA_V0"));
        }
        for (int i = 1; i < args.length; i++) {
            ApiMessageType api = ApiMessageType.fromApiKey(Short.parseShort(args[i]));
            try (PrintWriter out = open(folder, snake(api.name))) {
                versions(out, api.name + "Request", api.requestSchemas(), api::newRequest);
                versions(out, api.name + "Response", api.responseSchemas(), api::newResponse);
            }
        }
    }

    private static PrintWriter open(Path folder, String name) throws Exception {
        PrintWriter out = new PrintWriter(Files.newBufferedWriter(folder.resolve(name + ".txt")));
        out.println("# Written by tests/vectors/make with Kafka's own classes: message, version, filling, bytes in base64.");
        return out;
    }

    /** {@code ApiVersions} to {@code api_versions}. */
    private static String snake(String name) {
        return name.replaceAll("(?<=[a-z])(?=[A-Z])", "_").toLowerCase(Locale.ROOT);
    }

    private static void versions(PrintWriter out, String name, Schema[] schemas, Maker maker) throws Exception {
        for (short version = 0; version < schemas.length; version++) {
            if (schemas[version] == null) {
                continue;
            }
            for (Filling filling : Filling.values()) {
                if (filling == Filling.FOREIGN && tagged(schemas[version]) == null) {
                    continue;
                }
                // FOREIGN draws the same values as FULL.
                Filling drawn = filling == Filling.FOREIGN ? Filling.FULL : filling;
                Message message = maker.make();
                new Vectors(filling, name + version + drawn).fill(message, schemas[version]);
                print(out, name, version, filling, MessageUtil.toByteBufferAccessor(message, version).buffer());
            }
        }
    }

    /** What has a schema and no class of its own. */
    private static void structs(PrintWriter out, String name, Schema... schemas) {
        for (short version = 0; version < schemas.length; version++) {
            for (Filling filling : Filling.values()) {
                if (filling == Filling.FOREIGN) {
                    continue;
                }
                Struct struct = new Vectors(filling, name + version + filling).struct(schemas[version]);
                ByteBuffer buffer = ByteBuffer.allocate(struct.sizeOf());
                struct.writeTo(buffer);
                buffer.flip();
                print(out, name, version, filling, buffer);
            }
        }
    }

    private static Schema schema(Class<?> assignor, String name) throws Exception {
        java.lang.reflect.Field field = assignor.getDeclaredField(name);
        field.setAccessible(true);
        return (Schema) field.get(null);
    }

    private static void print(PrintWriter out, String name, short version, Filling filling, ByteBuffer buffer) {
        byte[] bytes = MessageUtil.byteBufferToArray(buffer);
        String text = bytes.length == 0 ? "-" : Base64.getEncoder().withoutPadding().encodeToString(bytes);
        out.printf("%s %d %s %s%n", name, version, filling.name().toLowerCase(Locale.ROOT), text);
    }

    private static TaggedFields tagged(Schema schema) {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields) {
                return (TaggedFields) field.def.type;
            }
        }
        return null;
    }

    private void fill(Message message, Schema schema) throws Exception {
        if (filling == Filling.DEFAULT) {
            return;
        }
        for (BoundField field : schema.fields()) {
            if (!(field.def.type instanceof TaggedFields)) {
                set(message, field.def);
            }
        }
        TaggedFields tagged = tagged(schema);
        if (tagged == null) {
            return;
        }
        int unknown = 0;
        for (var field : tagged.fields().entrySet()) {
            unknown = Math.max(unknown, field.getKey() + 1);
            if (random.nextInt(4) > 0 || filling != Filling.RANDOM1 && filling != Filling.RANDOM2) {
                set(message, field.getValue());
            }
        }
        if (filling == Filling.FOREIGN) {
            message.unknownTaggedFields().add(new RawTaggedField(unknown, new byte[0]));
            message.unknownTaggedFields().add(new RawTaggedField(unknown + 200, new byte[] {1, 2, 3}));
            message.unknownTaggedFields().add(new RawTaggedField(0x0fffffff, new byte[] {-1, 0, -1, 0, -1}));
        }
    }

    /** Calls the setter of a field, which is found by its name. */
    private void set(Object message, Field field) throws Exception {
        String wanted = "set" + field.name.replace("_", "");
        for (Method method : message.getClass().getMethods()) {
            if (method.getName().equalsIgnoreCase(wanted) && method.getParameterCount() == 1) {
                method.invoke(message, value(field.type, method.getGenericParameterTypes()[0]));
                return;
            }
        }
        throw new IllegalStateException(message.getClass() + " has no " + wanted);
    }

    /** A value of a type of the protocol, as the Java type that the setter takes. */
    private Object value(org.apache.kafka.common.protocol.types.Type type, Type java) throws Exception {
        if (type.isNullable() && (filling == Filling.NULLS || random() && random.nextInt(4) == 0)) {
            return null;
        }
        if (type.isArray()) {
            return list(type.arrayElementType().orElseThrow(), java);
        }
        if (type instanceof Schema) {
            Object message = ((Class<?>) java).getDeclaredConstructor().newInstance();
            fill((Message) message, (Schema) type);
            return message;
        }
        String name = ((Class<?>) java).getSimpleName();
        return switch (name) {
            case "boolean", "Boolean" -> !random() || random.nextBoolean();
            case "byte", "Byte" -> (byte) number(8);
            case "short", "Short" -> (short) number(16);
            case "int", "Integer" -> type == org.apache.kafka.common.protocol.types.Type.UINT16
                ? (int) number(16) & 0xffff : (int) number(32);
            case "long", "Long" -> type == org.apache.kafka.common.protocol.types.Type.UNSIGNED_INT32
                ? number(32) & 0xffffffffL : number(64);
            case "double", "Double" -> random.nextGaussian();
            case "String" -> text();
            case "Uuid" -> new Uuid(random.nextLong(), random.nextLong());
            case "byte[]" -> bytes();
            case "ByteBuffer" -> ByteBuffer.wrap(bytes());
            case "BaseRecords" -> (BaseRecords) MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
            default -> throw new IllegalStateException("no value for " + type + " as " + java);
        };
    }

    private boolean random() {
        return filling == Filling.RANDOM1 || filling == Filling.RANDOM2;
    }

    private Object list(org.apache.kafka.common.protocol.types.Type element, Type java) throws Exception {
        Collection<Object> list = new ArrayList<>();
        Type elementJava;
        if (java instanceof ParameterizedType) {
            elementJava = ((ParameterizedType) java).getActualTypeArguments()[0];
        } else {
            // A collection of its own, whose elements can be looked up.
            Class<?> collection = (Class<?>) java;
            elementJava = ((ParameterizedType) collection.getGenericSuperclass()).getActualTypeArguments()[0];
            @SuppressWarnings("unchecked")
            Collection<Object> own = (Collection<Object>) collection.getDeclaredConstructor().newInstance();
            list = own;
        }
        int count = random() ? random.nextInt(4) : 1 + random.nextInt(2);
        for (int i = 0; i < count; i++) {
            list.add(value(element, elementJava));
        }
        return list;
    }

    private Struct struct(Schema schema) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields()) {
            struct.set(field, member(field.def.type));
        }
        return struct;
    }

    /** A value of a type of the protocol, as {@link Struct} takes it. */
    private Object member(org.apache.kafka.common.protocol.types.Type type) {
        if (type.isArray()) {
            Object[] list = new Object[filling == Filling.DEFAULT ? 0 : random() ? random.nextInt(4) : 1 + random.nextInt(2)];
            Arrays.setAll(list, i -> member(type.arrayElementType().orElseThrow()));
            return list;
        }
        if (type instanceof Schema) {
            return struct((Schema) type);
        }
        return switch (type.toString()) {
            case "INT32" -> filling == Filling.DEFAULT ? 0 : (int) number(32);
            case "STRING" -> text();
            default -> throw new IllegalStateException("no value for " + type);
        };
    }

    /** A number of so many bits, the ends of the range more often than others; outside of RANDOM never zero or -1. */
    private long number(int bits) {
        long max = (1L << (bits - 1)) - 1;
        if (!random()) {
            return 1 + random.nextLong(max);
        }
        return switch (random.nextInt(6)) {
            case 0 -> 0;
            case 1 -> -1;
            case 2 -> max;
            case 3 -> -max - 1;
            default -> random.nextLong();
        };
    }

    private String text() {
        List<String> words = List.of("orders", "a", "payments.eu-1", "größe", "注文", "🚚", "x".repeat(127));
        return random() && random.nextInt(5) == 0 ? "" : words.get(random.nextInt(words.size())) + random.nextInt(10);
    }

    private byte[] bytes() {
        byte[] bytes = new byte[random() ? random.nextInt(140) : 1 + random.nextInt(12)];
        random.nextBytes(bytes);
        return bytes;
    }
}
