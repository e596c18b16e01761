//! Client against server, and the client against everything that is not a good server.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::config::{ClientConfig, Pem, Secret, SecurityProtocol, Ssl, TlsVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::net::dial::{Dial as _, Endpoint, Security, SocketOptions, TcpDial};
use crate::net::listen::Listen;
use crate::net::mem::{Faults, MemNet, Way};
use crate::net::self_signed::{Authority, Identity, Validity};
use crate::task;

fn pem(text: &str) -> Pem {
    Pem::Text(Secret::from(text))
}

fn trusting(authority: &Authority) -> Ssl {
    Ssl { ca: Some(pem(authority.certificate())), ..Ssl::default() }
}

fn server(identity: &Identity) -> TlsServer {
    TlsServer::new(&identity.certificate, &identity.key, None).unwrap()
}

fn endpoint(host: &str, port: u16, ssl: &Ssl) -> Endpoint {
    Endpoint::new(host, port, Security::Tls(TlsClient::new(ssl).unwrap()))
}

fn deadline() -> std::time::Instant {
    task::now() + Duration::from_secs(10)
}

/// Connects over loopback to a server that echoes four bytes, sends four, and gives what came back.
async fn echo(host: &str, ssl: &Ssl, tls: TlsServer) -> Result<[u8; 4]> {
    let listen = Listen::tcp("127.0.0.1:0", Some(tls)).await.unwrap();
    let endpoint = endpoint(host, listen.port(), ssl);
    let serve = async {
        let mut client = listen.accept().await.secure(deadline()).await?.stream;
        let mut four = [0; 4];
        if client.read_exact(&mut four).await.is_ok() {
            let _ = client.write_all(&four).await;
        }
        // What was written, an alert too, is on its way before the socket closes.
        let _ = client.shutdown().await;
        Ok::<_, Error>(())
    };
    let call = async {
        let mut stream = TcpDial::new(SocketOptions::default()).dial(&endpoint, deadline()).await?.stream;
        let mut four = *b"ping";
        let told = |error: std::io::Error| match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => panic!("an unexplained error: {error}"),
        };
        stream.write_all(&four).await.map_err(told)?;
        stream.flush().await.map_err(told)?;
        stream.read_exact(&mut four).await.map_err(told)?;
        Ok(four)
    };
    let (told, _served) = tokio::join!(call, serve);
    told
}

/// The error of a handshake with a server that shows `identity` while the client trusts `authority`.
async fn refused(host: &str, authority: &Authority, identity: &Identity) -> Error {
    let error = echo(host, &trusting(authority), server(identity)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(!error.is_retriable() && error.to_string().contains(&format!("broker {host}:")), "{error}");
    error
}

fn assert_says(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[tokio::test]
async fn a_good_certificate_is_taken_by_name_and_by_address() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost", "127.0.0.1"], Validity::Current).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(&echo(host, &trusting(&authority), server(&identity)).await.unwrap(), b"ping");
    }
}

#[tokio::test]
async fn each_version_alone_works() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let ssl = Ssl { enabled_protocols: vec![version], ..trusting(&authority) };
        assert_eq!(&echo("localhost", &ssl, server(&identity)).await.unwrap(), b"ping", "{version:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_its_date() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Expired).unwrap();
    let error = refused("localhost", &authority, &identity).await;
    assert_says(&error, &["expired on 2021-01-01 00:00 UTC", "renew", "clock"]);
}

#[tokio::test]
async fn a_certificate_of_the_future_is_refused_with_its_date() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Future).unwrap();
    let error = refused("localhost", &authority, &identity).await;
    assert_says(&error, &["not valid before 2119-01-01 00:00 UTC", "set this machine's clock"]);
}

#[tokio::test]
async fn a_certificate_for_other_hosts_is_refused_with_their_names() {
    let authority = Authority::new("test CA").unwrap();
    let identity =
        authority.issue(&["kafka.example", "*.kafka.example", "10.0.0.1"], Validity::Current).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let error = refused(host, &authority, &identity).await;
        let told = format!("is not for {host}, only for kafka.example, *.kafka.example, 10.0.0.1");
        assert_says(&error, &[&told, "advertised.listeners", "subjectAltName"]);
    }
    let nameless = authority.issue(&[], Validity::Current).unwrap();
    assert_says(&refused("localhost", &authority, &nameless).await, &["no subjectAltName"]);
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (ours, theirs) = (Authority::new("our CA").unwrap(), Authority::new("their CA").unwrap());
    let identity = theirs.issue(&["localhost"], Validity::Current).unwrap();
    let error = refused("localhost", &ours, &identity).await;
    assert_says(&error, &["does not trust", "ssl.ca.location"]);
    let same_name = Authority::new("their CA").unwrap();
    let error = refused("localhost", &same_name, &identity).await;
    assert_says(&error, &["broker's certificate is", "ssl.ca.location"]);
}

#[tokio::test]
async fn no_common_version_is_told() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    // A server of TLS 1.0 is not to be had here; its ServerHello is.
    let hello = [&[22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1][..], &[7; 32], &[0, 0, 47, 0]].concat();
    let error = against(&trusting(&authority), hello).await;
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_says(&error, &["TLS version", "ssl.enabled.protocols"]);
    drop(identity);
}

/// What a peer that answers the first bytes with `answer`, and closes, makes of a handshake.
async fn against(ssl: &Ssl, answer: Vec<u8>) -> Error {
    let listen = Listen::tcp("127.0.0.1:0", None).await.unwrap();
    let endpoint = endpoint("localhost", listen.port(), ssl);
    let serve = async {
        let mut client = listen.accept().await.secure(deadline()).await.unwrap().stream;
        client.read_u8().await.unwrap();
        client.write_all(&answer).await.unwrap();
        client.shutdown().await.unwrap();
        // The client's last word, an alert, must find an open door, or what was answered is lost in a reset.
        let _ = client.read_to_end(&mut Vec::new()).await;
    };
    let dial = TcpDial::new(SocketOptions::default());
    let (dialled, ()) = tokio::join!(dial.dial(&endpoint, deadline()), serve);
    dialled.unwrap_err()
}

#[tokio::test]
async fn a_plaintext_port_that_closes_is_named_and_may_be_tried_again() {
    let ssl = trusting(&Authority::new("test CA").unwrap());
    let error = against(&ssl, Vec::new()).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.is_retriable());
    assert_says(&error, &["broker localhost:", "plaintext port?", "security.protocol"]);
}

#[tokio::test]
async fn what_does_not_speak_tls_is_named() {
    let ssl = trusting(&Authority::new("test CA").unwrap());
    for (answer, told) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "an HTTP server answers"),
        (b"<html>", "an HTTP server answers"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "an SSH server answers"),
        (b"\0\0\0\x0a\0\0\0\0\0\x23\0\0\0\0", "plaintext port?"),
        (b"garbage and more garbage", "answered \"garbage and more garbage"),
    ] {
        let error = against(&ssl, answer.to_vec()).await;
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert_says(&error, &["does not speak TLS", told]);
    }
}

#[tokio::test]
async fn an_alert_is_told() {
    let ssl = trusting(&Authority::new("test CA").unwrap());
    let error = against(&ssl, vec![21, 3, 3, 0, 2, 2, 40]).await;
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert_says(&error, &["HandshakeFailure", "cipher suite"]);
}

/// In memory: what the peer never says is waited for on a paused clock.
async fn in_memory(faults: Faults, ssl: &Ssl, tls: Option<TlsServer>) -> (Result<()>, Duration) {
    let net = MemNet::new(1);
    let listen = Listen::mem(&net, "localhost", 9093, tls).unwrap();
    net.set_faults("localhost", 9093, faults);
    let endpoint = endpoint("localhost", 9093, ssl);
    let start = task::now();
    let serve = async {
        let accepted = listen.accept().await;
        let mut client = accepted.secure(deadline()).await?.stream;
        let _ = client.read_to_end(&mut Vec::new()).await;
        Ok::<_, Error>(())
    };
    let dialler = net.dialer();
    let dial = async {
        let dialled = dialler.dial(&endpoint, deadline()).await;
        dialled.map(|_| task::now() - start)
    };
    let (dialled, _served) = tokio::join!(dial, serve);
    match dialled {
        Ok(after) => (Ok(()), after),
        Err(error) => (Err(error), task::now() - start),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_handshake_ends_at_the_deadline() {
    let ssl = trusting(&Authority::new("test CA").unwrap());
    let (dialled, after) = in_memory(Faults::default(), &ssl, None).await;
    let error = dialled.unwrap_err();
    assert_eq!((error.kind(), after.as_secs()), (ErrorKind::Timeout, 10));
    assert_says(&error, &["broker localhost:9093", "socket.connection.setup.timeout.ms"]);
}

#[tokio::test(start_paused = true)]
async fn short_reads_and_latency_do_not_hurt_a_handshake() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    let way =
        Way { latency: Duration::from_millis(40), max_read: Some(3), max_write: Some(7), ..Way::default() };
    let faults = Faults { to_server: way.clone(), to_client: way, ..Faults::default() };
    let (dialled, after) = in_memory(faults, &trusting(&authority), Some(server(&identity))).await;
    dialled.unwrap();
    assert!(after >= Duration::from_millis(160), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_cut_says_so() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    for bytes in [1, 5, 100, 500] {
        let way = Way { cut_after: Some(bytes), ..Way::default() };
        let faults = Faults { to_client: way, ..Faults::default() };
        let (dialled, _) = in_memory(faults, &trusting(&authority), Some(server(&identity))).await;
        let error = dialled.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "after {bytes} bytes: {error}");
    }
}

/// Whatever a peer answers, the handshake ends in an error with a kind of its own, and long before the
/// deadline.
#[tokio::test(start_paused = true)]
async fn no_garbage_is_taken_for_a_broker() {
    let client = TlsClient::new(&trusting(&Authority::new("test CA").unwrap())).unwrap();
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut answer: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
        if rng.bool() && answer.len() > 5 {
            // The header of a record, so that what is in it gets looked at.
            let length = u16::try_from(answer.len() - 5).unwrap().to_be_bytes();
            answer[..5].copy_from_slice(&[rng.u8(20..24), 3, rng.u8(1..4), length[0], length[1]]);
        }
        let net = MemNet::new(seed);
        let listen = Listen::mem(&net, "localhost", 9093, None).unwrap();
        let endpoint = Endpoint::new("localhost", 9093, Security::Tls(client.clone()));
        let serve = async {
            let mut peer = listen.accept().await.secure(deadline()).await.unwrap().stream;
            peer.write_all(&answer).await.unwrap();
        };
        let dialler = net.dialer();
        let (dialled, ()) = tokio::join!(dialler.dial(&endpoint, deadline()), serve);
        let error = dialled.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Tls | ErrorKind::Disconnected), "{seed}: {error}");
    }
}

/// Given up after any number of polls, a dial leaves nothing open: the server sees the end.
#[tokio::test(start_paused = true)]
async fn a_dropped_dial_closes_what_it_had_opened() {
    let authority = Authority::new("test CA").unwrap();
    let tls = server(&authority.issue(&["localhost"], Validity::Current).unwrap());
    let ssl = trusting(&authority);
    let mut polls = 0;
    loop {
        let net = MemNet::new(1);
        let way = Way { jitter: Duration::from_millis(5), max_write: Some(16), ..Way::default() };
        net.set_faults(
            "localhost",
            9093,
            Faults { to_server: way.clone(), to_client: way, ..Faults::default() },
        );
        let listen = Listen::mem(&net, "localhost", 9093, Some(tls.clone())).unwrap();
        let endpoint = endpoint("localhost", 9093, &ssl);
        let serve = task::spawn(async move {
            let secured = listen.accept().await.secure(deadline()).await;
            if let Ok(mut client) = secured {
                let _ = client.stream.read_to_end(&mut Vec::new()).await;
            }
        });
        let dialler = net.dialer();
        let mut dial = Box::pin(dialler.dial(&endpoint, deadline()));
        let mut left = polls;
        let through = std::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(false);
            }
            left -= 1;
            dial.as_mut().poll(context).map(|dialled| dialled.is_ok())
        })
        .await;
        drop(dial);
        if net.connections_made() > 0 {
            let start = task::now();
            serve.await.unwrap();
            assert!(task::now() - start < Duration::from_secs(1), "open after {polls} polls");
        }
        if through {
            break;
        }
        polls += 1;
    }
    assert!(polls > 3, "only {polls} places to give up at");
}

fn asking_for_certificates(authority: &Authority, identity: &Identity) -> TlsServer {
    TlsServer::new(&identity.certificate, &identity.key, Some(&pem(authority.certificate()))).unwrap()
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    let client = authority.issue(&["client"], Validity::Current).unwrap();
    let ssl = Ssl { certificate: Some(client.certificate), key: Some(client.key), ..trusting(&authority) };
    let tls = asking_for_certificates(&authority, &identity);
    assert_eq!(&echo("localhost", &ssl, tls).await.unwrap(), b"ping");
}

#[tokio::test]
async fn a_missing_or_refused_client_certificate_is_told() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    let stranger = Authority::new("another CA").unwrap().issue(&["client"], Validity::Current).unwrap();
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let without = Ssl { enabled_protocols: vec![version], ..trusting(&authority) };
        let error =
            echo("localhost", &without, asking_for_certificates(&authority, &identity)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{version:?}: {error}");
        assert_says(&error, &["client certificate", "ssl.certificate.location"]);

        let (certificate, key) = (Some(stranger.certificate.clone()), Some(stranger.key.clone()));
        let with = Ssl { certificate, key, ..without };
        let error =
            echo("localhost", &with, asking_for_certificates(&authority, &identity)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{version:?}: {error}");
        assert_says(&error, &["refuses the client's certificate"]);
    }
}

#[tokio::test]
async fn dangerous_options_do_what_they_say() {
    let (ours, theirs) = (Authority::new("our CA").unwrap(), Authority::new("their CA").unwrap());
    let elsewhere =
        |authority: &Authority| server(&authority.issue(&["elsewhere"], Validity::Current).unwrap());
    let any_host = Ssl { dangerous_skip_hostname_verification: true, ..trusting(&ours) };
    assert_eq!(&echo("localhost", &any_host, elsewhere(&ours)).await.unwrap(), b"ping");
    assert_says(&echo("localhost", &any_host, elsewhere(&theirs)).await.unwrap_err(), &["does not trust"]);
    let expired = server(&ours.issue(&["localhost"], Validity::Expired).unwrap());
    assert_says(&echo("localhost", &any_host, expired).await.unwrap_err(), &["expired"]);
    let anything = Ssl { dangerous_skip_certificate_verification: true, ..Ssl::default() };
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let ssl = Ssl { enabled_protocols: vec![version], ..anything.clone() };
        assert_eq!(&echo("localhost", &ssl, elsewhere(&theirs)).await.unwrap(), b"ping");
    }
}

#[tokio::test]
async fn changed_files_are_used_without_a_restart_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let (first, second) = (Authority::new("first CA").unwrap(), Authority::new("second CA").unwrap());
    std::fs::write(&path, first.certificate()).unwrap();
    let client = TlsClient::new(&Ssl { ca: Some(Pem::File(path.clone())), ..Ssl::default() }).unwrap();
    let connects = async |authority: &Authority| shakes_hands(&client, authority).await;
    assert!(connects(&first).await && !connects(&second).await);
    std::fs::write(&path, second.certificate()).unwrap();
    assert!(connects(&second).await && !connects(&first).await);
    std::fs::write(&path, "half a fi").unwrap();
    assert!(connects(&second).await);
    std::fs::remove_file(&path).unwrap();
    assert!(connects(&second).await);
}

#[tokio::test]
async fn a_directory_of_authorities_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let authorities = ["a", "b"].map(|name| Authority::new(name).unwrap());
    for (name, authority) in ["a.pem", "b.pem"].iter().zip(&authorities) {
        std::fs::write(folder.path().join(name), authority.certificate().trim_end()).unwrap();
    }
    let ssl = Ssl { ca: Some(Pem::File(folder.path().to_owned())), ..Ssl::default() };
    for authority in &authorities {
        let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
        assert_eq!(&echo("localhost", &ssl, server(&identity)).await.unwrap(), b"ping");
    }
}

fn refused_settings(ssl: &Ssl) -> Error {
    let error = TlsClient::new(ssl).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error
}

#[test]
fn unusable_settings_are_refused_with_the_way_out() {
    let authority = Authority::new("test CA").unwrap();
    let good = authority.issue(&["client"], Validity::Current).unwrap();
    let with_key = |key: &str| Ssl {
        certificate: Some(good.certificate.clone()),
        key: Some(pem(key)),
        ..trusting(&authority)
    };
    let absent = Ssl { ca: Some(Pem::File(Path::new("/no/such/ca.pem").into())), ..Ssl::default() };
    assert_says(&refused_settings(&absent), &["ssl.ca.location (/no/such/ca.pem)"]);
    let empty = Ssl { ca: Some(pem("nothing")), ..Ssl::default() };
    assert_says(&refused_settings(&empty), &["no certificate"]);
    let half = Ssl { certificate: Some(good.certificate.clone()), ..trusting(&authority) };
    assert_says(&refused_settings(&half), &["both ssl.certificate.location and ssl.key.location"]);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_says(&refused_settings(&with_key(encrypted)), &["is encrypted", "set ssl.key.password"]);
    let with_password = Ssl { key_password: Some(Secret::from("secret")), ..with_key(encrypted) };
    assert_says(&refused_settings(&with_password), &["encrypted private key is malformed", "openssl pkcs8"]);
    let old =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_says(&refused_settings(&with_key(old)), &["OpenSSL's old way", "openssl pkcs8"]);
    assert_says(&refused_settings(&with_key("no key")), &["no private key"]);
    let other = authority.issue(&["client"], Validity::Current).unwrap();
    let Pem::Text(others_key) = &other.key else { panic!("keys are text") };
    assert_says(&refused_settings(&with_key(others_key.expose())), &["the certificate's own"]);
    let no_version = Ssl { enabled_protocols: Vec::new(), ..trusting(&authority) };
    assert_says(&refused_settings(&no_version), &["ssl.enabled.protocols"]);
}

#[tokio::test]
async fn cipher_suites_are_chosen_by_either_name() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    for name in
        ["TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]
    {
        let ssl = Ssl { cipher_suites: vec![name.to_owned()], ..trusting(&authority) };
        let outcome = echo("localhost", &ssl, server(&identity)).await;
        assert_eq!(&outcome.unwrap(), b"ping", "{name}");
    }
    let unknown = Ssl { cipher_suites: vec!["TLS_RSA_WITH_RC4_128_MD5".to_owned()], ..trusting(&authority) };
    assert_says(&refused_settings(&unknown), &["TLS_RSA_WITH_RC4_128_MD5", "TLS13_AES_256_GCM_SHA384"]);
}

#[tokio::test]
async fn keys_of_every_pem_form_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let ca = Pem::File(folder.join("ca.pem"));
    for form in ["pkcs1", "pkcs8-rsa", "sec1"] {
        let [certificate, key] =
            ["crt", "key"].map(|end| Pem::File(folder.join(format!("{form}.{end}.pem"))));
        let tls = TlsServer::new(&certificate, &key, None).unwrap();
        let ssl = Ssl { ca: Some(ca.clone()), ..Ssl::default() };
        assert_eq!(&echo("localhost", &ssl, tls).await.unwrap(), b"ping", "{form}");
    }
}

#[test]
fn the_settings_decide_on_tls() {
    let mut config = ClientConfig::default();
    assert!(matches!(Security::from_config(&config).unwrap(), Security::Plaintext));
    config.security_protocol = SecurityProtocol::SaslSsl;
    config.ssl = trusting(&Authority::new("test CA").unwrap());
    assert!(matches!(Security::from_config(&config).unwrap(), Security::Tls(_)));
}

/// A client of the user's own making, which trusts `authority`.
fn ready_made(provider: std::sync::Arc<rustls::crypto::CryptoProvider>, authority: &Authority) -> TlsClient {
    let mut roots = rustls::RootCertStore::empty();
    let ca = pem::Text::read("test", &pem(authority.certificate())).unwrap();
    roots.add_parsable_certificates(ca.certificates().unwrap());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsClient::from_rustls(std::sync::Arc::new(config))
}

/// Whether a handshake over loopback comes about, on both sides.
async fn shakes_hands(client: &TlsClient, authority: &Authority) -> bool {
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    let listen = Listen::tcp("127.0.0.1:0", Some(server(&identity))).await.unwrap();
    let endpoint = Endpoint::new("localhost", listen.port(), Security::Tls(client.clone()));
    let dial = TcpDial::new(SocketOptions::default());
    let serve = async { listen.accept().await.secure(deadline()).await };
    let (dialled, served) = tokio::join!(dial.dial(&endpoint, deadline()), serve);
    dialled.is_ok() && served.is_ok()
}

#[tokio::test]
async fn a_ready_configuration_is_taken_as_it_is() {
    let (authority, stranger) = (Authority::new("test CA").unwrap(), Authority::new("another CA").unwrap());
    let client = ready_made(provider::provider().unwrap(), &authority);
    assert!(shakes_hands(&client, &authority).await && !shakes_hands(&client, &stranger).await);
}

#[cfg(feature = "tls-portable")]
#[tokio::test]
async fn the_portable_provider_and_the_default_one_understand_each_other() {
    let authority = Authority::new("test CA").unwrap();
    let client = ready_made(std::sync::Arc::new(rustls_rustcrypto::provider()), &authority);
    assert!(shakes_hands(&client, &authority).await);
}

/// A name that cannot be in a certificate is refused before anything is sent.
#[tokio::test]
async fn a_host_that_no_certificate_can_name_is_refused() {
    let ssl = trusting(&Authority::new("test CA").unwrap());
    let net = MemNet::new(1);
    let _listen = Listen::mem(&net, "no host!", 1, None).unwrap();
    let error = net.dialer().dial(&endpoint("no host!", 1, &ssl), deadline()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
}

#[tokio::test]
async fn tls_streams_write_vectored() {
    let authority = Authority::new("test CA").unwrap();
    let identity = authority.issue(&["localhost"], Validity::Current).unwrap();
    let listen = Listen::tcp("127.0.0.1:0", Some(server(&identity))).await.unwrap();
    let endpoint = endpoint("localhost", listen.port(), &trusting(&authority));
    let dial = TcpDial::new(SocketOptions::default());
    let serve = async { listen.accept().await.secure(deadline()).await };
    let (dialled, served) = tokio::join!(dial.dial(&endpoint, deadline()), serve);
    assert!(dialled.unwrap().stream.is_write_vectored() && served.unwrap().stream.is_write_vectored());
}
