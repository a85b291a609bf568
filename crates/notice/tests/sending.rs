//! Notices against a small mail server and a small web server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exchange::{AlertKind, Exchange, Options, Words};
use notice::{MailOptions, MailTls, Notices, WebhookOptions};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
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
        let (sink, listener) = Self::open(refuses).await;
        let server = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = server.clone();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut line = String::new();
                    stream.write_all(b"220 sink\r\n").await.unwrap();
                    loop {
                        line.clear();
                        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                        let answer: &[u8] = match line.split_whitespace().next().unwrap_or("") {
                            "EHLO" => b"250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
                            "AUTH" if sink.refuses() => b"454 come back later\r\n",
                            "AUTH" => {
                                sink.taken.send_modify(|taken| taken.push(line.clone()));
                                b"235 welcome\r\n"
                            }
                            "DATA" => {
                                stream.write_all(b"354 go on\r\n").await.unwrap();
                                let mut mail = String::new();
                                while !mail.ends_with("\r\n.\r\n") {
                                    if stream.read_line(&mut mail).await.unwrap_or(0) == 0 {
                                        return;
                                    }
                                }
                                sink.taken.send_modify(|taken| taken.push(mail));
                                b"250 taken\r\n"
                            }
                            _ => b"250 ok\r\n",
                        };
                        stream.write_all(answer).await.unwrap();
                    }
                });
            }
        });
        sink
    }

    /// A web server that takes a POST.
    async fn web(refuses: u32) -> Self {
        let (sink, listener) = Self::open(refuses).await;
        let server = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let mut line = String::new();
                    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                        break;
                    }
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let refused = server.refuses();
                let answer: &[u8] = if refused {
                    b"HTTP/1.1 503 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                } else {
                    b"HTTP/1.1 204 ok\r\nconnection: close\r\n\r\n"
                };
                stream.write_all(answer).await.unwrap();
                let _ = stream.shutdown().await;
                if !refused {
                    let text = format!("{head}{}", String::from_utf8(body).unwrap());
                    server.taken.send_modify(|taken| taken.push(text));
                }
            }
        });
        sink
    }
}

fn words() -> Words<String> {
    Words::new("không nối được", "refused")
}

async fn exchange(folder: &tempfile::TempDir) -> Exchange {
    let mut options = Options::new(folder.path().join("data"));
    options.segment_size = 1 << 20;
    options.alerts.disk_free_percent = 0;
    Exchange::open(options, |_, _| {}).await.unwrap()
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
