use super::*;

const SHIPPED: &str = include_str!("../../../../deploy/axis.toml");

fn no_variables(_: &str) -> Option<String> {
    None
}

fn refusal(text: &str) -> String {
    match Config::parse(text) {
        Ok(config) => config.check().expect_err("must be refused").to_string(),
        Err(error) => error.to_string(),
    }
}

/// A configuration in which every optional key is there.
fn full() -> Config {
    let path = || Some(PathBuf::from("/x"));
    let mut full = Config::default();
    full.data.key_file = path();
    full.grpc.tls = Tls {
        cert: path(),
        key: path(),
        client_ca: path(),
        client_crl: path(),
    };
    full.console.tls = full.grpc.tls.clone();
    full.vxp.tls = full.grpc.tls.clone();
    let text = || Some("x".to_owned());
    full.notices.mail.server = text();
    full.notices.mail.user = text();
    full.notices.mail.from = text();
    full.notices.mail.ca = path();
    full.notices.mail.password_file = path();
    full.notices.webhook.url = text();
    full.notices.webhook.ca = path();
    full.notices.webhook.token_file = path();
    full.journal.anchors = path();
    full.calendar.folder = path();
    full.bus.password_file = path();
    full.bus.tls = bus::BusTls {
        ca: path(),
        cert: path(),
        key: path(),
    };
    full
}

fn keys(table: &toml::Table, prefix: &str, into: &mut Vec<String>) {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => keys(inner, &format!("{path}."), into),
            _ => into.push(path),
        }
    }
}

/// The keys that a file mentions, set or commented out as `# key = …`.
fn mentioned(text: &str) -> Vec<String> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")
            && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            found.push(format!("{section}{key}"));
        }
    }
    found
}

#[test]
fn the_shipped_file_says_the_defaults() {
    assert_eq!(Config::parse(SHIPPED).unwrap(), Config::default());
}

#[test]
fn the_shipped_file_explains_every_key_and_no_other() {
    let mut expected = Vec::new();
    keys(&toml::Table::try_from(full()).unwrap(), "", &mut expected);
    let mut found = mentioned(SHIPPED);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    // Every key has a comment above it.
    let lines: Vec<_> = SHIPPED.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if mentioned(line).is_empty() {
            continue;
        }
        assert!(
            lines[at - 1].starts_with("# ") && mentioned(lines[at - 1]).is_empty(),
            "{line} has no explanation above it"
        );
    }
}

#[test]
fn what_the_shipped_file_has_commented_out_can_be_used() {
    let uncommented: String = SHIPPED
        .lines()
        .map(|line| {
            if mentioned(line).is_empty() {
                line
            } else {
                line.strip_prefix("# ").unwrap_or(line)
            }
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = Config::parse(&uncommented).unwrap();
    config.check().unwrap();
    assert!(
        config.grpc.tls.client_ca.is_some()
            && config.journal.anchors.is_some()
            && config.data.key_file.is_some()
    );
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let text = refusal("[grpc]\nlsten = \"127.0.0.1:1\"\n");
    assert!(
        text.contains("line 2") && text.contains("lsten") && text.contains("listen"),
        "{text}"
    );
    assert!(refusal("[gprc]\n").contains("gprc"));
}

#[test]
fn an_impossible_value_is_refused_with_key_value_and_range() {
    let cases = [
        (
            "[grpc]\nlisten = \"7401\"\n",
            ["listen", "7401", "127.0.0.1:7401"],
        ),
        (
            "[console]\nlisten = \"0.0.0.0:7402\"\n",
            ["console.listen", "loopback", "console.tls.cert"],
        ),
        (
            "[grpc]\nlisten = \"0.0.0.0:7401\"\n",
            ["grpc.listen", "0.0.0.0:7401", "axis pki init"],
        ),
        (
            "[grpc]\ndrain_seconds = 0\n",
            ["grpc.drain_seconds", "0", "from 1 to 300"],
        ),
        (
            "[grpc]\nmax_connections = 0\n",
            ["grpc.max_connections", "0", "from 1 to 60000"],
        ),
        (
            "[limits]\nmax_package_bytes = 12\n",
            ["limits.max_package_bytes", "12", "from 4096"],
        ),
        (
            "[limits]\nmax_bytes_in_flight = 4096\n",
            ["limits.max_bytes_in_flight", "4096", "from 52428800"],
        ),
        ("[limits]\nmax_streams = -1\n", ["max_streams", "-1", "u32"]),
        (
            "[delivery]\nlease_seconds = 0\n",
            ["delivery.lease_seconds", "0", "86400"],
        ),
        (
            "[journal]\nsegment_bytes = 5\n",
            ["journal.segment_bytes", "5", "1073741824"],
        ),
        (
            "[journal]\nsegment_bytes = 1048577\n",
            ["journal.segment_bytes", "1048577", "multiple of 4096"],
        ),
        (
            "[journal]\nanchors = \"axis-data/anchors\"\n",
            [
                "journal.anchors",
                "axis-data/anchors",
                "outside the data folder",
            ],
        ),
        (
            "[data]\nkey_file = \"axis-data/key\"\n",
            ["data.key_file", "axis-data/key", "outside the data folder"],
        ),
        ("[bus]\nurl = \"kafka\"\n", ["bus.url", "kafka", "embedded"]),
        (
            "[log]\nfilter = \"info,,=\"\n",
            ["log.filter", "info,,=", "a level"],
        ),
        ("[log]\nformat = \"xml\"\n", ["format", "xml", "text"]),
        (
            "[vxp]\nlisten = \"0.0.0.0:7403\"\n",
            ["vxp.listen", "0.0.0.0:7403", "vxp.plain_http_from"],
        ),
        (
            "[vxp]\nplain_http_from = [\"10.0.0.0/33\"]\n",
            ["plain_http_from", "10.0.0.0/33", "line 2"],
        ),
        (
            "[vxp.timestamp_tolerance_seconds]\n\"so-a\" = 0\n",
            ["vxp.timestamp_tolerance_seconds", "0", "31536000"],
        ),
        (
            "[grpc.tls]\ncert = \"a\"\n",
            ["grpc.tls.key", "none", "private key"],
        ),
        (
            "[grpc.tls]\nclient_ca = \"a\"\n",
            ["grpc.tls.cert", "none", "client_ca"],
        ),
    ];
    for (text, parts) in cases {
        let refusal = refusal(text);
        for part in parts {
            assert!(
                refusal.contains(part),
                "{text:?}: {refusal:?} does not say {part:?}"
            );
        }
    }
}

#[test]
fn variables_override_and_are_named_when_wrong() {
    let set = |name: &'static str, value: &'static str| {
        Config::load(None, Some(Path::new("/d")), &move |asked| {
            (asked == name).then(|| value.to_owned())
        })
    };
    assert_eq!(
        set("AXIS_GRPC_LISTEN", "127.0.0.1:0")
            .unwrap()
            .grpc
            .listen
            .port(),
        0
    );
    assert_eq!(set("AXIS_LOG", "debug").unwrap().log.filter, "debug");
    assert_eq!(set("AXIS_BUS", "embedded").unwrap().bus.url, "embedded");
    assert!(
        set("AXIS_VXP_LISTEN", "127.0.0.1:0")
            .unwrap()
            .vxp
            .listen
            .port()
            == 0
            && set("AXIS_CONSOLE_LISTEN", "[::1]:0")
                .unwrap()
                .console
                .listen
                .port()
                == 0
    );
    assert!(
        set("AXIS_VXP_LISTEN", "here")
            .unwrap_err()
            .to_string()
            .contains("AXIS_VXP_LISTEN")
    );
    assert_eq!(
        set("AXIS_BUS", "amqp://axis@broker:5672/tinh")
            .unwrap()
            .bus
            .url,
        "amqp://axis@broker:5672/tinh"
    );
    let broker = set("AXIS_BUS", "amqp://axis:secret@broker:5672")
        .unwrap_err()
        .to_string();
    assert!(
        broker.contains("AXIS_BUS_PASSWORD") && !broker.contains("secret"),
        "{broker}"
    );
}

#[test]
fn the_data_folder_of_the_command_line_wins() {
    let config = Config::load(None, Some(Path::new("/elsewhere")), &no_variables).unwrap();
    assert_eq!(config.data.dir, Path::new("/elsewhere"));
    let missing = Config::load(Some(Path::new("/no/such/file")), None, &no_variables).unwrap_err();
    assert!(missing.to_string().contains("/no/such/file"));
}

#[test]
fn sc_02_a_plain_vxp_listener_elsewhere_names_the_networks_it_serves() {
    let with = |from: &str| {
        let text = format!("[vxp]\nlisten = \"10.0.0.1:7403\"\nplain_http_from = [{from}]\n");
        Config::parse(&text).unwrap().check()
    };
    assert!(with("\"10.0.0.0/8\"").is_ok());
    assert!(with("").is_err());
    assert!(with("\"127.0.0.0/8\", \"::1/128\"").is_err());
}
