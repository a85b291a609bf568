//! Notices against a small mail server and a small web server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exchange::{AlertKind, Exchange, Options, Words};
use ledger::time::{Clock, Ms};
use notice::{MailOptions, MailTls, Notices, WebhookOptions};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What a server has taken, and how many attempts it still refuses.
#[derive(Clone)]
struct Sink {
    port: u16,
    taken: watch::Sender<Vec<String>>,
    refuses: Arc<Mutex<u32>>,
    attempts: Arc<Mutex<u32>>,
}

impl Sink {
    async fn open(refuses: u32) -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self {
            port: listener.local_addr().unwrap().port(),
            taken: watch::Sender::new(Vec::new()),
            refuses: Arc::new(Mutex::new(refuses)),
            attempts: Arc::default(),
        };
        (sink, listener)
    }

    /// Whether this attempt is refused.
    fn refuses(&self) -> bool {
        *self.attempts.lock().unwrap() += 1;
        let mut left = self.refuses.lock().unwrap();
        let refuses = *left > 0;
        *left = left.saturating_sub(1);
        refuses
    }

    /// Waits until it has taken so many, and gives them.
    async fn takes(&self, count: usize) -> Vec<String> {
        let mut taken = self.taken.subscribe();
        let enough = taken.wait_for(|taken| taken.len() >= count);
        let taken = tokio::time::timeout(Duration::from_secs(20), enough).await;
        taken.expect("it takes too long").unwrap().clone()
    }

    /// A mail server that knows just enough.
    async fn mail(refuses: u32) -> Self {
        Self::mail_over(refuses, MailTls::None, None).await
    }

    /// The same behind TLS, from the first byte or by STARTTLS; without an acceptor a server
    /// that has no TLS, whatever is expected of it.
    async fn mail_over(refuses: u32, way: MailTls, tls: Option<TlsAcceptor>) -> Self {
        let (sink, listener) = Self::open(refuses).await;
        let server = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sink, tls) = (server.clone(), tls.clone());
                tokio::spawn(async move {
                    match (way, tls) {
                        (MailTls::Tls, Some(tls)) => {
                            // Whoever does not trust this server says so and leaves.
                            if let Ok(stream) = tls.accept(stream).await {
                                sink.talk(stream, true, false).await;
                            }
                        }
                        (MailTls::Starttls, Some(tls)) => {
                            let asked = sink.talk(stream, true, true).await;
                            let Some(stream) = asked else { return };
                            if let Ok(stream) = tls.accept(stream).await {
                                sink.talk(stream, false, false).await;
                            }
                        }
                        _ => {
                            sink.talk(stream, true, false).await;
                        }
                    }
                });
            }
        });
        sink
    }

    /// Talks SMTP until the other side leaves; gives the stream back when TLS is asked for.
    async fn talk<S>(&self, stream: S, greets: bool, offers_tls: bool) -> Option<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        if greets {
            stream.write_all(b"220 sink\r\n").await.unwrap();
        }
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            let answer: &[u8] = match line.split_whitespace().next().unwrap_or("") {
                "EHLO" if offers_tls => b"250-sink\r\n250 STARTTLS\r\n",
                "EHLO" => b"250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
                "STARTTLS" if offers_tls => {
                    stream.write_all(b"220 go on\r\n").await.unwrap();
                    return Some(stream.into_inner());
                }
                "AUTH" if self.refuses() => b"454 come back later\r\n",
                "AUTH" => {
                    self.taken.send_modify(|taken| taken.push(line.clone()));
                    b"235 welcome\r\n"
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    let mut mail = String::new();
                    while !mail.ends_with("\r\n.\r\n") {
                        if stream.read_line(&mut mail).await.unwrap_or(0) == 0 {
                            return None;
                        }
                    }
                    self.taken.send_modify(|taken| taken.push(mail));
                    b"250 taken\r\n"
                }
                _ => b"250 ok\r\n",
            };
            stream.write_all(answer).await.unwrap();
            stream.flush().await.unwrap();
        }
    }

    /// A web server that takes a POST.
    async fn web(refuses: u32) -> Self {
        Self::web_over(refuses, None).await
    }

    /// The same behind TLS.
    async fn web_over(refuses: u32, tls: Option<TlsAcceptor>) -> Self {
        let (sink, listener) = Self::open(refuses).await;
        let server = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                match &tls {
                    None => server.answer(stream).await,
                    Some(tls) => {
                        *server.attempts.lock().unwrap() += 1;
                        if let Ok(stream) = tls.accept(stream).await {
                            server.answer(stream).await;
                        }
                    }
                }
            }
        });
        sink
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let refused = self.refuses();
        let answer: &[u8] = if refused {
            b"HTTP/1.1 503 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        } else {
            b"HTTP/1.1 204 ok\r\nconnection: close\r\n\r\n"
        };
        stream.write_all(answer).await.unwrap();
        let _ = stream.shutdown().await;
        if !refused {
            let text = format!("{head}{}", String::from_utf8(body).unwrap());
            self.taken.send_modify(|taken| taken.push(text));
        }
    }
}

/// A private authority: its certificate in a file, and what a server at `localhost` shows.
struct Authority {
    file: std::path::PathBuf,
    tls: TlsAcceptor,
}

impl Authority {
    fn new(folder: &tempfile::TempDir, name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let file = folder.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "a test's file need not last")]
        std::fs::write(&file, issuer.pem()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self {
            file,
            tls: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

fn words() -> Words<String> {
    Words::new("không nối được", "refused")
}

fn options(folder: &tempfile::TempDir) -> Options {
    let mut options = Options::new(folder.path().join("data"));
    options.segment_size = 1 << 20;
    options.alerts.disk_free_percent = 0;
    // A test machine's disk may be slow.
    options.alerts.sync = Duration::from_secs(600);
    options
}

async fn exchange(folder: &tempfile::TempDir) -> Exchange {
    Exchange::open(options(folder), |_, _| {}).await.unwrap()
}

fn quick() -> notice::Options {
    notice::Options {
        name: "Trục tỉnh".to_owned(),
        hold_off: Duration::from_millis(200),
        pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(50),
        ..notice::Options::default()
    }
}

fn by_mail(port: u16, folder: &tempfile::TempDir) -> MailOptions {
    let password_file = folder.path().join("password");
    #[expect(clippy::disallowed_methods, reason = "a test's file need not last")]
    std::fs::write(&password_file, "bí mật\n").unwrap();
    MailOptions {
        server: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        ca: None,
        user: Some("axis".to_owned()),
        password_file: Some(password_file),
        from: "Axis <axis@tinh.example>".to_owned(),
        to: vec!["truc@tinh.example".to_owned()],
        contacts: false,
    }
}

fn by_web(port: u16) -> WebhookOptions {
    WebhookOptions {
        url: format!("http://127.0.0.1:{port}/axis?key=secret"),
        ca: None,
        token_file: None,
    }
}

async fn told(exchange: &Exchange) {
    let mut changes = exchange.alert_changes();
    let all = async {
        while !exchange.untold_alerts().is_empty() {
            changes.changed().await.unwrap();
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(20), all).await;
    all.expect("somebody is never told");
}

#[tokio::test]
async fn one_message_up_and_one_down_by_both_ways_also_through_refusals() {
    let folder = tempfile::tempdir().unwrap();
    let exchange = exchange(&folder).await;
    let (mail, web) = (Sink::mail(2).await, Sink::web(2).await);
    let mut options = quick();
    options.mail = Some(by_mail(mail.port, &folder));
    options.webhook = Some(by_web(web.port));
    let stop = CancellationToken::new();
    let notices = Notices::new(options).unwrap().unwrap();
    let task = tokio::spawn(notices.run(exchange.clone(), stop.clone()));

    exchange.raise_alert(AlertKind::BusAway, "bus", words());
    exchange.raise_alert(AlertKind::BusJunk, "so-y-te", words());
    let up = web.takes(1).await;
    assert!(up[0].contains("\"kind\":\"bus-away\"") && up[0].contains("\"kind\":\"bus-junk\""));
    assert!(up[0].contains("\"cleared\":[]") && up[0].contains("không nối được"));
    // Both alerts in one mail, behind two refusals: the login, then the mail.
    let mails = mail.takes(2).await;
    assert!(mails[0].starts_with("AUTH"));
    assert!(mails[1].contains("To: truc@tinh.example") && mails[1].contains("Subject: "));
    told(&exchange).await;

    exchange.clear_alert(AlertKind::BusAway, "bus");
    let down = web.takes(2).await;
    assert!(down[1].contains("\"raised\":[]") && down[1].contains("\"kind\":\"bus-away\""));
    mail.takes(3).await;
    told(&exchange).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(web.taken.borrow().len(), 2);
    assert_eq!(*web.attempts.lock().unwrap(), 4);
    exchange.close().await;
}

#[tokio::test]
async fn what_comes_and_goes_within_the_hold_off_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let exchange = exchange(&folder).await;
    let web = Sink::web(0).await;
    let mut options = quick();
    options.hold_off = Duration::from_secs(3_600);
    options.webhook = Some(by_web(web.port));
    let stop = CancellationToken::new();
    let notices = Notices::new(options).unwrap().unwrap();
    let task = tokio::spawn(notices.run(exchange.clone(), stop.clone()));
    let mut changes = exchange.alert_changes();
    exchange.raise_alert(AlertKind::BusAway, "bus", words());
    changes.changed().await.unwrap();
    exchange.clear_alert(AlertKind::BusAway, "bus");
    changes.changed().await.unwrap();
    assert!(exchange.untold_alerts().is_empty());
    stop.cancel();
    task.await.unwrap();
    assert_eq!(*web.attempts.lock().unwrap(), 0);
    exchange.close().await;
}

#[tokio::test]
async fn nobody_who_takes_it_leaves_it_owed_and_the_exchange_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let exchange = exchange(&folder).await;
    let web = Sink::web(u32::MAX).await;
    let mut options = quick();
    options.hold_off = Duration::ZERO;
    options.webhook = Some(by_web(web.port));
    let stop = CancellationToken::new();
    let notices = Notices::new(options).unwrap().unwrap();
    let task = tokio::spawn(notices.run(exchange.clone(), stop.clone()));
    exchange.raise_alert(AlertKind::BusAway, "bus", words());
    let mut changes = exchange.alert_changes();
    for n in 0..300 {
        exchange.raise_alert(AlertKind::BusJunk, &format!("s{n}"), words());
    }
    while exchange.standing_alerts().len() < 301 {
        changes.changed().await.unwrap();
    }
    assert_eq!(exchange.untold_alerts().len(), 301);
    stop.cancel();
    task.await.unwrap();
    exchange.close().await;
}

/// One alert told by these ways; what the servers have taken of it.
async fn tell(folder: &tempfile::TempDir, options: notice::Options) -> Exchange {
    let exchange = exchange(folder).await;
    let notices = Notices::new(options).unwrap().unwrap();
    tokio::spawn(notices.run(exchange.clone(), CancellationToken::new()));
    exchange.raise_alert(AlertKind::BusAway, "bus", words());
    exchange
}

#[tokio::test]
async fn mail_and_webhook_go_over_tls_of_a_private_authority() {
    for way in [MailTls::Tls, MailTls::Starttls] {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(&folder, "ca.pem");
        let mail = Sink::mail_over(0, way, Some(authority.tls.clone())).await;
        let web = Sink::web_over(0, Some(authority.tls.clone())).await;
        let mut options = quick();
        options.mail = Some(MailOptions {
            server: "localhost".to_owned(),
            tls: way,
            ca: Some(authority.file.clone()),
            ..by_mail(mail.port, &folder)
        });
        options.webhook = Some(WebhookOptions {
            url: format!("https://localhost:{}/axis", web.port),
            ca: Some(authority.file.clone()),
            token_file: None,
        });
        let exchange = tell(&folder, options).await;
        // The login came over TLS too.
        let mails = mail.takes(2).await;
        assert!(mails[0].starts_with("AUTH"), "{way:?}");
        assert!(mails[1].contains("To: truc@tinh.example"));
        let posts = web.takes(1).await;
        assert!(posts[0].contains("\"kind\":\"bus-away\""));
        told(&exchange).await;
        exchange.close().await;
    }
}

#[tokio::test]
async fn nothing_is_told_to_a_server_that_cannot_show_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, ours) = (
        Authority::new(&folder, "theirs.pem"),
        Authority::new(&folder, "ours.pem"),
    );
    // One with another authority's certificate, one without TLS where TLS is asked for.
    let web = Sink::web_over(0, Some(theirs.tls.clone())).await;
    let mail = Sink::mail_over(0, MailTls::Starttls, None).await;
    let mut options = quick();
    options.mail = Some(MailOptions {
        server: "localhost".to_owned(),
        tls: MailTls::Starttls,
        ca: Some(ours.file.clone()),
        ..by_mail(mail.port, &folder)
    });
    options.webhook = Some(WebhookOptions {
        url: format!("https://localhost:{}/axis", web.port),
        ca: Some(ours.file.clone()),
        token_file: None,
    });
    let exchange = tell(&folder, options).await;
    let tried = async {
        while *web.attempts.lock().unwrap() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let tried = tokio::time::timeout(Duration::from_secs(20), tried).await;
    tried.expect("it is not tried again");
    assert_eq!(exchange.untold_alerts().len(), 1, "it is still owed");
    assert!(web.taken.borrow().is_empty() && mail.taken.borrow().is_empty());
    exchange.close().await;
}

/// An urgent document that nobody fetches: one notice when its lane's limit is over, one when it
/// was fetched, and none behind that.
#[tokio::test]
async fn pr_04_an_urgent_document_left_alone_is_one_notice_and_none_after_the_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::standing_at(Ms(1_795_309_200_000));
    let mut options = options(&folder);
    options.clock = clock.clone();
    options.alerts.every = Duration::from_millis(10);
    let exchange = Exchange::open(options, |_, _| {}).await.unwrap();
    let by = exchange::Operator {
        person: "Lan".to_owned(),
        ..exchange::Operator::default()
    };
    let codes = ["000.00.01.H99", "000.00.02.H99"];
    let csv = format!(
        "code,name\n{},Sở Nội vụ\n{},Sở Tài chính\n",
        codes[0], codes[1]
    );
    let imported = exchange.import_agencies(&by, csv.into(), exchange::ImportOrder::default());
    assert_eq!(imported.await.unwrap().added, 2);
    let mut peers = Vec::new();
    for (id, code) in ["so-a", "so-b"].into_iter().zip(codes) {
        let system = exchange::NewSystem {
            id: id.to_owned(),
            agencies: vec![code.to_owned()],
            with_key: true,
            ..exchange::NewSystem::default()
        };
        let (_, key) = exchange.add_system(&by, system).await.unwrap();
        let key = key.unwrap();
        let shown = exchange::Credentials::Key {
            system: id,
            key: &key,
        };
        peers.push(exchange.authenticate(shown).unwrap());
    }
    let organ = |code| edxml::Organ::new(code, None);
    let date = edxml::Date::new(2026, 11, 20).unwrap();
    let to = vec![organ(codes[1])];
    let mut draft = edxml::write::DocumentDraft::new(organ(codes[0]), to, "12", "SNV-VP", date);
    draft.document.document_id = Some("d1".to_owned());
    draft.document.subject = Some("V/v phòng chống bão".to_owned());
    draft.document.other_info.priority = edxml::Priority::new(4).unwrap();
    draft.attach("a.pdf", "application/pdf", b"%PDF-1.7".to_vec());
    let package = edxml::write::document(&draft).into();
    let pushed = exchange.push(&peers[0], package, exchange::PushOptions::default());
    pushed.await.unwrap();

    let web = Sink::web(0).await;
    let mut ways = quick();
    // The clock of the hold-off is the axis's, and stands.
    ways.hold_off = Duration::ZERO;
    ways.webhook = Some(by_web(web.port));
    let notices = Notices::new(ways).unwrap().unwrap();
    tokio::spawn(notices.run(exchange.clone(), CancellationToken::new()));
    clock.advance(11 * 60_000);
    let up = web.takes(1).await;
    assert!(up[0].contains("\"kind\":\"oldest-age\"") && up[0].contains("so-b/flash"));
    told(&exchange).await;
    let filter = exchange::FetchFilter::default();
    let mut offer = exchange.fetch(&peers[1], &filter).await.unwrap().unwrap();
    while offer.content.next_chunk(256 << 10).await.unwrap().is_some() {}
    let settle = exchange::Settle {
        delivery: offer.header.delivery,
        round: 0,
        outcome: exchange::Outcome::Acknowledged,
        reason: String::new(),
        via: "settle",
        sha256: None,
    };
    exchange.settle(&peers[1], settle).await.unwrap();
    let down = web.takes(2).await;
    assert!(down[1].contains("\"raised\":[]") && down[1].contains("so-b/flash"));
    told(&exchange).await;
    // An hour later nothing more has been said: the last look was behind the end.
    clock.advance(3_600_000);
    let mut changes = exchange.alert_changes();
    exchange.raise_alert(AlertKind::BusJunk, "so-b", words());
    changes.changed().await.unwrap();
    let all = web.takes(3).await;
    assert!(!all[2].contains("oldest-age"), "{}", all[2]);
    assert_eq!(all.len(), 3);
    exchange.close().await;
}

/// An agency that has not fetched for the working hours set gets one letter itself.
#[tokio::test]
async fn ex_12_the_contact_of_an_agency_that_does_not_fetch_gets_one_letter() {
    let folder = tempfile::tempdir().unwrap();
    // Monday, 08:00 in Vietnam.
    let clock = Clock::standing_at(Ms(1_795_395_600_000));
    let mut options = options(&folder);
    options.clock = clock.clone();
    options.alerts.every = Duration::from_millis(10);
    // Of the document's age others are told.
    let never = Duration::from_secs(1_000 * 86_400);
    (options.alerts.unattended, options.alerts.oldest) = (never, [never; 4]);
    let exchange = Exchange::open(options, |_, _| {}).await.unwrap();
    let by = exchange::Operator {
        person: "Lan".to_owned(),
        ..exchange::Operator::default()
    };
    let csv = "code,name,contact\n000.00.01.H99,Sở Nội vụ,\n\
               000.00.02.H99,Sở Tài chính,Chị Lan <vanthu@stc.example> 0235 123\n";
    let imported = exchange.import_agencies(&by, csv.into(), exchange::ImportOrder::default());
    assert_eq!(imported.await.unwrap().added, 2);
    let system = exchange::NewSystem {
        id: "so-a".to_owned(),
        agencies: vec!["000.00.01.H99".to_owned()],
        with_key: true,
        ..exchange::NewSystem::default()
    };
    let (_, key) = exchange.add_system(&by, system).await.unwrap();
    let key = key.unwrap();
    let shown = exchange::Credentials::Key {
        system: "so-a",
        key: &key,
    };
    let a = exchange.authenticate(shown).unwrap();
    let organ = |code| edxml::Organ::new(code, None);
    let date = edxml::Date::new(2026, 11, 20).unwrap();
    let to = vec![organ("000.00.02.H99")];
    let from = organ("000.00.01.H99");
    let mut draft = edxml::write::DocumentDraft::new(from, to, "12", "SNV-VP", date);
    draft.document.document_id = Some("d1".to_owned());
    draft.attach("a.pdf", "application/pdf", b"%PDF-1.7".to_vec());
    let package = edxml::write::document(&draft).into();
    let pushed = exchange.push(&a, package, exchange::PushOptions::default());
    pushed.await.unwrap();

    let mail = Sink::mail(0).await;
    let mut ways = quick();
    ways.hold_off = Duration::ZERO;
    ways.mail = Some(MailOptions {
        contacts: true,
        user: None,
        password_file: None,
        ..by_mail(mail.port, &folder)
    });
    let notices = Notices::new(ways).unwrap().unwrap();
    tokio::spawn(notices.run(exchange.clone(), CancellationToken::new()));
    // A day and an hour later: more than eight working hours.
    clock.advance(25 * 3_600_000);
    let mails = mail.takes(2).await;
    let to_contact = |mail: &&String| mail.contains("To: vanthu@stc.example");
    assert_eq!(mails.iter().filter(to_contact).count(), 1, "{mails:?}");
    assert!(mails.iter().any(|mail| mail.contains("truc@tinh.example")));
    told(&exchange).await;
    exchange.close().await;
}
