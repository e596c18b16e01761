import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;

/**
 * Keeps a user from what the lines of its input say, {@code OPERATION TYPE NAME} each, and from nothing else; and lets everybody
 * else do all to these.
 * Arguments: bootstrap servers, the user.
 */
public final class Deny {
    public static void main(String[] arguments) throws Exception {
        List<AclBinding> acls = new ArrayList<>();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            ResourcePattern of = new ResourcePattern(ResourceType.valueOf(words[1]), words[2], PatternType.LITERAL);
            acls.add(acl(of, "User:" + arguments[1], AclOperation.valueOf(words[0]), AclPermissionType.DENY));
            acls.add(acl(of, "User:*", AclOperation.ALL, AclPermissionType.ALLOW));
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            admin.deleteAcls(List.of(new AclBindingFilter(
                ResourcePatternFilter.ANY,
                new AccessControlEntryFilter("User:" + arguments[1], null, AclOperation.ANY, AclPermissionType.ANY)
            ))).all().get();
            admin.createAcls(acls).all().get();
        }
    }

    private static AclBinding acl(ResourcePattern of, String who, AclOperation operation, AclPermissionType type) {
        return new AclBinding(of, new AccessControlEntry(who, "*", operation, type));
    }
}
