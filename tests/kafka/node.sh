# Sourced by tests/kafka/run: what one broker is made of and how it is started, stopped and killed.
# Uses $dir, $lib, $brokers, $version, ${settings[@]} and ${advertise[@]} of the caller. Broker N (which is a controller too) lives in $dir/N.
# shellcheck shell=bash disable=SC2154

# Who may log in; see env_write.
user=alice password=alice-secret
user_unicode=žofie password_unicode='tajemství-密码' # a name for PLAIN: SCRAM of Kafka takes ASCII names only
user_scram_unicode=zofie # the same password
user_denied=mallory password_denied=mallory-secret # for tests that add ACLs against somebody

# Listener, its security protocol, the name its address has in the env file, the certificate (see certs).
listeners=(
    'PLAINTEXT PLAINTEXT plaintext -'
    'SASL_SSL SASL_SSL sasl_ssl broker'
    'SASL_PLAINTEXT SASL_PLAINTEXT sasl_plaintext -'
    'MUTUAL SSL ssl broker'                        # wants a client's certificate
    'REAUTH SASL_PLAINTEXT reauth -'               # sessions end after 2 s (KIP-368)
    'PLAIN_ONLY SASL_PLAINTEXT plain_only -'       # offers PLAIN and nothing else
    'EXPIRED SASL_SSL expired expired'             # and those that a client must refuse
    'NOT_YET_VALID SASL_SSL not_yet_valid not-yet-valid'
    'WRONG_HOST SASL_SSL wrong_host wrong-host'
    'OTHER_CA SASL_SSL other_ca other'
    'INTERNAL PLAINTEXT - -'                       # the brokers' own: no proxy of a test lies between them
    'CONTROLLER PLAINTEXT - -'
)
declare -A port=() # by "N NAME"
declare -A pid=()  # by N
declare -A starts=()

# Free ports and properties for all brokers, and formatted data folders.
cluster_configure() {
    local n row name protocol key certificate voters=
    local id
    for ((n = 1; n <= brokers; n++)); do
        for row in "${listeners[@]}"; do
            read -r name protocol key certificate <<<"$row"
            port["$n $name"]=$(free_port)
        done
        voters+=${voters:+,}$n@127.0.0.1:${port["$n CONTROLLER"]}
    done
    id=$(cluster_id)
    for ((n = 1; n <= brokers; n++)); do
        mkdir -p "$dir/$n"
        starts[$n]=0
        node_properties "$n" "$voters" >"$dir/$n/server.properties"
        node_format "$n" "$id" || return 1
    done
}

# Kafka's way to write a UUID: base64 of 16 bytes, for URLs, without padding, and none that looks like an option.
cluster_id() { head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d = | sed 's/^-/A/'; }

free_port() {
    local candidate
    while candidate=$((10000 + (RANDOM << 15 | RANDOM) % 22000)); do
        # A port that somebody listens on accepts; one that this run has handed out already is in the list.
        [[ " ${port[*]} " == *" $candidate "* ]] && continue
        (: <>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || break
    done
    echo "$candidate"
}

node_properties() { # N VOTERS
    local n=$1 row name protocol key certificate all= advertised= map= copies=$((brokers < 3 ? brokers : 3))
    for row in "${listeners[@]}"; do
        read -r name protocol key certificate <<<"$row"
        all+=${all:+,}$name://127.0.0.1:${port["$n $name"]}
        map+=${map:+,}$name:$protocol
        [ "$name" = CONTROLLER ] ||
            advertised+=${advertised:+,}$name://${advertise["$n:$name"]:-$(node_host "$protocol"):${port["$n $name"]}}
    done
    cat <<END
process.roles=broker,controller
node.id=$n
broker.rack=rack-$n
# For those who say in which rack they are (KIP-392).
replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector
controller.quorum.voters=$2
listeners=$all
advertised.listeners=$advertised
listener.security.protocol.map=$map
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
log.dirs=$dir/$n/data
num.partitions=6
num.network.threads=2
# How long a killed broker counts as alive, and keeps its successor waiting (9 s by default).
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
# How long a follower pauses that asks a new leader too early: nothing can be acknowledged meanwhile (1 s by default).
replica.fetch.backoff.ms=100
num.io.threads=4
default.replication.factor=$copies
min.insync.replicas=$((copies > 1 ? 2 : 1))
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$((copies > 1 ? 2 : 1))
transaction.state.log.num.partitions=5
group.initial.rebalance.delay.ms=0
group.consumer.assignment.interval.ms=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS;User:$user
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
ssl.keystore.type=PEM
ssl.truststore.type=PEM
ssl.truststore.location=$dir/certs/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.plain_only.sasl.enabled.mechanisms=PLAIN
END
    case $version in
        3.*) ;;
        *) cat <<END ;;
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$((copies > 1 ? 2 : 1))
share.coordinator.state.topic.num.partitions=5
END
    esac
    for row in "${listeners[@]}"; do
        read -r name protocol key certificate <<<"$row"
        listener_properties "listener.name.${name,,}" "$protocol" "$certificate"
    done
    printf '%s\n' "${settings[@]}"
}

listener_properties() { # PREFIX PROTOCOL CERTIFICATE
    local security=org.apache.kafka.common.security mechanism
    [ "$3" = - ] || echo "$1.ssl.keystore.location=$dir/certs/$3-keystore.pem"
    [[ $2 == SASL_* ]] || return 0
    printf '%s.plain.sasl.jaas.config=%s.plain.PlainLoginModule required user_%s="%s" user_%s="%s" user_%s="%s";\n' \
        "$1" "$security" "$user" "$password" "$(latin "$user_unicode")" "$(latin "$password_unicode")" \
        "$user_denied" "$password_denied"
    for mechanism in scram-sha-256 scram-sha-512; do
        echo "$1.$mechanism.sasl.jaas.config=$security.scram.ScramLoginModule required;"
    done
    # Without a validator of one's own the broker takes unsecured tokens ({"alg":"none"}).
    echo "$1.oauthbearer.sasl.jaas.config=$security.oauthbearer.OAuthBearerLoginModule required;"
    [[ $1 != *.reauth ]] || for mechanism in plain scram-sha-256 scram-sha-512 oauthbearer; do
        echo "$1.$mechanism.connections.max.reauth.ms=2000"
    done
}

# A properties file is Latin-1; what is beyond is written as \uXXXX.
latin() {
    local i text=$1 code
    for ((i = 0; i < ${#text}; i++)); do
        printf -v code %d "'${text:i:1}"
        if [ "$code" -lt 128 ]; then printf %s "${text:i:1}"; else printf '\\u%04x' "$code"; fi
    done
}

node_host() { case $1 in *SSL) echo localhost ;; *) echo 127.0.0.1 ;; esac }

node_format() { # N CLUSTER_ID
    local mechanism users=()
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
        users+=(--add-scram "$mechanism=[name=\"$user\",password=\"$password\"]")
        users+=(--add-scram "$mechanism=[name=\"$user_scram_unicode\",password=\"$password_unicode\"]")
        users+=(--add-scram "$mechanism=[name=\"$user_denied\",password=\"$password_denied\"]")
    done
    java_tool kafka.tools.StorageTool format -t "$2" -c "$dir/$1/server.properties" "${users[@]}" >"$dir/$1/log.format" 2>&1
}

java_tool() {
    java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$lib/*" "$@"
}

# Starts broker N without waiting for it. The kernel kills it when this shell dies, however it dies.
node_launch() {
    local options=("-Xmx${KAFKA_HEAP:-1g}")
    # Several share the machine, and are started again and again: what they take to get going counts, not what they could do.
    [ "$brokers" -eq 1 ] || options=("-Xmx${KAFKA_HEAP:-300m}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC)
    starts[$1]=$((${starts[$1]} + 1))
    setpriv --pdeathsig KILL java "${options[@]}" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -Dorg.slf4j.simpleLogger.showDateTime=true \
        -cp "$lib/*" kafka.Kafka "$dir/$1/server.properties" >"$dir/$1/log.${starts[$1]}" 2>&1 </dev/null 7<&- 8>&- &
    pid[$1]=$!
    disown "${pid[$1]}"
}

node_await() { # N
    local i
    for ((i = 0; i < 600; i++)); do
        grep -q 'Kafka Server started' "$dir/$1/log.${starts[$1]}" && return
        node_runs "$1" || return 1
        sleep 0.1
    done
    return 1
}

node_runs() { [ -n "${pid[$1]:-}" ] && kill -0 "${pid[$1]}" 2>/dev/null; }

nodes_start_all() {
    local n all=()
    for ((n = 1; n <= brokers; n++)); do all+=("$n"); done
    nodes_start "${all[@]}"
}

nodes_kill_all() {
    local n
    for n in "${!pid[@]}"; do nodes_kill "$n" || true; done
}

nodes_start() { # N...
    local n
    for n; do ! node_runs "$n" || return 1; done
    for n; do node_launch "$n"; done
    for n; do node_await "$n" || return 1; done
}
nodes_stop() { nodes_signal TERM "$@" && nodes_gone "$@"; }
nodes_kill() { nodes_signal KILL "$@" && nodes_gone "$@"; }
nodes_pause() { nodes_signal STOP "$@"; }
nodes_resume() { nodes_signal CONT "$@"; }

nodes_signal() { # SIGNAL N...
    local n
    for n in "${@:2}"; do node_runs "$n" || return 1; done
    for n in "${@:2}"; do kill -"$1" "${pid[$n]}" || return 1; done
}

nodes_gone() { # N...
    local n
    for n; do node_gone "$n" || return 1; done
}

node_gone() {
    local i
    for ((i = 0; i < 600; i++)); do
        node_runs "$1" || { unset "pid[$1]"; return 0; }
        sleep 0.05
    done
    return 1
}

# Makes broker N the leader of a partition, by Kafka's own tools: the first of the replicas is the preferred leader, and an
# election gives the office to it, as soon as it is in sync. Changes which brokers have a copy if N had none.
partition_move() { # TOPIC PARTITION N
    local plan=$dir/reassignment.json log=$dir/log.move servers n i
    local replicas=$3 copies=$((brokers < 3 ? brokers : 3))
    for ((i = 1; i < copies; i++)); do replicas+=,$((($3 - 1 + i) % brokers + 1)); done
    for ((n = 1; n <= brokers; n++)); do ! node_runs "$n" || servers+=${servers:+,}127.0.0.1:${port["$n PLAINTEXT"]}; done
    printf '{"version":1,"partitions":[{"topic":"%s","partition":%d,"replicas":[%s]}]}\n' "$1" "$2" "$replicas" >"$plan"
    java_tool org.apache.kafka.tools.reassign.ReassignPartitionsCommand --bootstrap-server "$servers" \
        --reassignment-json-file "$plan" --execute >"$log" 2>&1 || return 1
    for ((i = 0; i < 20; i++)); do
        java_tool org.apache.kafka.tools.LeaderElectionCommand --bootstrap-server "$servers" --election-type preferred \
            --topic "$1" --partition "$2" >>"$log" 2>&1 && return
        sleep 0.5
    done
    return 1
}

# What a test needs to know. Addresses are bootstrap lists: one of each broker.
env_write() {
    local row name protocol key certificate n list
    {
        printf '%s=%s\n' version "$version" lib "$lib" dir "$dir" control "$dir/commands" certs "$dir/certs" ca "$dir/certs/ca.pem" brokers "$brokers" \
            user "$user" password "$password" user_unicode "$user_unicode" \
            user_scram_unicode "$user_scram_unicode" password_unicode "$password_unicode" \
            user_denied "$user_denied" password_denied "$password_denied"
        for row in "${listeners[@]}"; do
            read -r name protocol key certificate <<<"$row"
            [ "$key" != - ] || continue
            list=
            for ((n = 1; n <= brokers; n++)); do list+=${list:+,}$(node_host "$protocol"):${port["$n $name"]}; done
            echo "$key=$list"
        done
    } >"$dir/env.new"
    mv "$dir/env.new" "$dir/env"
}
