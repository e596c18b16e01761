//! Clients that say who they are by OAUTHBEARER, with tokens that they make themselves.

use super::{Bench, has_java, has_kcat};
use ottla::broker::{Broker, Denial, Operation};

fn bench() -> Bench {
    let denial = Denial::new(Operation::Write).topic("denied").user("alice");
    let bench = Bench::new(Broker::builder().unsecured_tokens().deny(denial).keep_requests(1_000));
    for topic in ["orders", "denied"] {
        bench.broker.create_topic(topic, 1).unwrap();
    }
    bench
}

fn is_alices(bench: &Bench) -> bool {
    let requests = bench.broker.requests();
    let mut named = requests.iter().filter_map(|request| request.principal.as_deref()).peekable();
    named.peek().is_some() && named.all(|principal| principal == "alice")
}

#[test]
fn kcat_gets_in_with_an_unsecured_token_and_is_told_what_it_may_not_do() {
    if !has_kcat() {
        return;
    }
    let bench = bench();
    let login = ["security.protocol=sasl_plaintext", "sasl.mechanism=OAUTHBEARER"];
    let token = ["enable.sasl.oauthbearer.unsecure.jwt=true", "sasl.oauthbearer.config=principal=alice"];
    let settings: Vec<&str> = login.into_iter().chain(token).flat_map(|setting| ["-X", setting]).collect();
    let kcat = |arguments: &[&str], input: &str| bench.kcat(&[arguments, &settings].concat(), input);
    kcat(&["-P", "-t", "orders"], "one\ntwo\n");
    assert_eq!(kcat(&["-C", "-t", "orders", "-e", "-q"], "").lines(), ["one", "two"]);
    assert!(is_alices(&bench));
    let mut refused = std::process::Command::new("kcat");
    refused.args(["-b", &bench.broker.bootstrap_servers(), "-P", "-t", "denied"]).args(&settings);
    let refused = super::process::run(&mut refused, b"one\n", super::CLIENT_LIMIT);
    assert!(refused.stderr.contains("Topic authorization failed"), "{}", refused.stderr);
    assert!(bench.broker.records("denied", 0).is_empty());
}

#[test]
fn java_gets_in_with_an_unsecured_token_and_is_told_what_it_may_not_do() {
    if !has_java() {
        return;
    }
    let bench = bench();
    let login = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n\
                 sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.internals.unsecured.\
                 OAuthBearerUnsecuredLoginCallbackHandler\n\
                 sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"alice\";\n";
    let settings = bench.file("tokens.properties", login);
    let settings = settings.to_str().unwrap();
    let produces = |topic| ["--topic", topic, "--command-config", settings];
    bench.java_produces(&produces("orders"), "one\ntwo\n");
    let reads =
        ["--topic", "orders", "--from-beginning", "--max-messages", "2", "--command-config", settings];
    assert_eq!(bench.java_reads(&reads), ["one", "two"]);
    assert!(is_alices(&bench));
    let mut refused = bench.java_command("org.apache.kafka.tools.ConsoleProducer", &produces("denied"));
    let refused = super::process::run(&mut refused, b"one\n", super::CLIENT_LIMIT);
    assert!(refused.stderr.contains("TopicAuthorizationException"), "{}", refused.stderr);
}
