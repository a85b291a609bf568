//! The example clients' pages, followed as a reader does: every `sh` block is typed in order into
//! one terminal, every `sh axis` block starts the axis in the other, and each line of a `text`
//! block must come out, in order (`…` stands for anything). Only the port is another one.
//!
//! These tests fetch packages from PyPI and npm. `cargo xtask test` runs them as parts of their
//! own, after it has made sure that Python and Node are there.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bus::amqp::Access;
use sha2::{Digest, Sha256};
use testkit::{Axis, Broker, Process, axis_binary};

#[test]
fn the_python_page_works_as_typed() -> Result<()> {
    follow(&Language {
        name: "python",
        keeps: ".venv",
        run: "python",
        extra: include_str!("extra.py"),
    })
}

#[test]
fn the_node_page_works_as_typed() -> Result<()> {
    follow(&Language {
        name: "node",
        keeps: "node_modules",
        run: "node --input-type=module",
        extra: include_str!("extra.js"),
    })
}

/// Over RabbitMQ: the broker's team is played by a private broker.
#[test]
fn the_python_amqp_page_works_as_typed() -> Result<()> {
    let broker = Broker::start()?;
    broker.add_vhost("tinh")?;
    broker.add_user("axis", "of-the-axis")?;
    broker.permit("tinh", "axis", ".*", ".*", ".*")?;
    let mut desk = Desk::lay(&Language {
        name: "python-amqp",
        keeps: ".venv",
        run: "python",
        extra: "",
    })?;
    desk.broker = Some(broker.port());
    let page = fs::read_to_string(desk.dir.join("README.md"))?;
    let mut said = String::new();
    for block in blocks(&page) {
        match block.kind {
            "sh" => said = desk.type_in(block.text)?,
            "sh axis" => desk.start(&[])?,
            "sh broker" => {
                for system in ["so-noi-vu", "so-tai-chinh"] {
                    permit(&broker, &Access::of(system, "tinh"))?;
                }
            }
            "text" => came_out(block.text, &said)
                .with_context(|| format!("this came out:\n{said}\nand not:\n{}", block.text))?,
            other => bail!("the page has a block of the unknown kind {other:?}"),
        }
    }
    let mut expected = Vec::new();
    for name in ["small", "large"] {
        expected.push(hex(&fs::read(desk.dir.join(format!("work/{name}.edxml")))?));
    }
    expected.sort();
    ensure!(
        received(&desk.dir.join("work/inbox"))? == expected,
        "other bytes came than went"
    );
    ensure!(received(&desk.dir.join("work/statuses"))?.len() == 2);
    desk.leave()
}

/// What the broker's team types.
fn permit(broker: &Broker, access: &Access) -> Result<()> {
    let Access {
        vhost,
        user,
        configure,
        write,
        read,
        topics,
        ..
    } = access;
    broker.add_user(user, "secret")?;
    broker.permit(vhost, user, configure, write, read)?;
    for topic in topics {
        broker.permit_topic(vhost, user, topic.exchange, &topic.write, topic.read)?;
    }
    Ok(())
}

/// One of the example clients.
struct Language {
    /// Its folder under docs/examples.
    name: &'static str,
    /// What is downloaded into it: kept for the next run.
    keeps: &'static str,
    /// Runs a program from its standard input.
    run: &'static str,
    /// What the page does not show: a retry that the axis asks for, a delivery that cannot be read.
    extra: &'static str,
}

fn follow(language: &Language) -> Result<()> {
    let mut desk = Desk::lay(language)?;
    let page = fs::read_to_string(desk.dir.join("README.md"))?;
    let mut said = String::new();
    for block in blocks(&page) {
        match block.kind {
            "sh" => said = desk.type_in(block.text)?,
            "sh axis" => desk.serve(block.text)?,
            "text" => came_out(block.text, &said)
                .with_context(|| format!("this came out:\n{said}\nand not:\n{}", block.text))?,
            other => bail!("the page has a block of the unknown kind {other:?}"),
        }
    }

    let sent = ["small", "large", "third"].map(|name| desk.dir.join(format!("work/{name}.edxml")));
    let mut bytes = Vec::new();
    for path in &sent {
        let package = fs::read(path)?;
        let receipt = fs::read(path.with_extension("edxml.receipt.json"))?;
        let receipt: serde_json::Value = serde_json::from_slice(&receipt)?;
        ensure!(receipt["sha256"] == hex(&package), "{receipt}");
        // The receipt can be held against the axis.
        let anchor = receipt["anchor"].as_str().context("no anchor")?;
        let _ = desk.axis()?.operate(["verify", "--anchor", anchor])?.ok()?;
        bytes.push(package);
    }
    ensure!(
        bytes[1].len() > 4 << 20,
        "the large one fits into one message"
    );
    let mut expected: Vec<_> = bytes[..2].iter().map(|package| hex(package)).collect();
    expected.sort();
    ensure!(
        received(&desk.dir.join("work/inbox"))? == expected,
        "other bytes came than went"
    );
    ensure!(received(&desk.dir.join("work/statuses"))?.len() == 3);

    desk.start(&["--config", "../strict.toml"])?;
    let script = format!("{} <<'END'\n{}\nEND\n", language.run, language.extra);
    let said = desk.type_in(&script)?;
    came_out(EXTRA, &said).with_context(|| format!("this came out:\n{said}"))?;
    desk.leave()
}

/// What `extra` prints: both packages in spite of one push a second, then a failed delivery.
const EXTRA: &str = "accepted\naccepted\naccepted\ncannot read\ntaken 4\nFAILED at the receiver";

/// One push a second: the second one is refused with a time, and the client waits that long.
const STRICT: &str = "[limits]\nmax_pushes_per_second = 1\n";

/// The reader's desk: a copy of what the page is about, a terminal, an axis.
struct Desk {
    dir: PathBuf,
    axis: Option<Axis>,
    /// The broker's port, if the page is about one.
    broker: Option<u16>,
    /// One reader at a time: another run of the same test waits until this one has left.
    _place: File,
}

impl Desk {
    fn lay(language: &Language) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let desk =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clients-{}", language.name));
        let examples = desk.join("docs/examples");
        let dir = examples.join(language.name);
        fs::create_dir_all(&dir)?;
        let place = File::create(desk.join("lock"))?;
        place.lock()?;
        empty(&dir, language.keeps)?;
        copy(&root.join("docs/examples"), &examples)?;
        copy(&root.join("docs/examples").join(language.name), &dir)?;
        let province = examples.join("province");
        fs::create_dir_all(&province)?;
        copy(&root.join("docs/examples/province"), &province)?;
        fs::create_dir_all(desk.join("proto/axis/v1"))?;
        copy(&root.join("proto/axis/v1"), &desk.join("proto/axis/v1"))?;
        put(&examples.join("strict.toml"), STRICT)?;
        Ok(Self {
            dir,
            axis: None,
            broker: None,
            _place: place,
        })
    }

    /// Types the lines of a block; a line that fails ends it. Gives what came out.
    fn type_in(&self, block: &str) -> Result<String> {
        let bin = axis_binary()?;
        let bin = bin.parent().context("axis lies nowhere")?;
        let port = self.axis.as_ref().map(|axis| axis.grpc().to_string());
        let block = match &port {
            Some(port) => block.replace("127.0.0.1:7401", port),
            None => block.to_owned(),
        };
        let block = match self.broker {
            Some(port) => block.replace("127.0.0.1:5672", &format!("127.0.0.1:{port}")),
            None => block,
        };
        // What is exported stays for the blocks behind it, as in one terminal.
        let script = format!(
            "set -eu\nexec 2>&1\nif [ -f exported ]; then . ./exported; \
             else export PATH=\"$AXIS_FOLDER:$PATH\"; fi\n{block}\nexport -p > exported\n"
        );
        let mut terminal = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"AXIS_") {
                let _ = terminal.env_remove(name);
            }
        }
        let _ = terminal
            .args(["-c", &script])
            .current_dir(&self.dir)
            .env("AXIS_FOLDER", bin)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let mut terminal = Process::start(&mut terminal, None)?;
        let ended = terminal.wait(Duration::from_secs(240))?;
        let said = terminal.stdout().text();
        match ended {
            Some(status) if status.success() => Ok(said),
            Some(status) => bail!("{status}\n$ {block}\n{said}"),
            None => bail!("it does not end\n$ {block}\n{said}"),
        }
    }

    /// Does what the page says about the other terminal.
    fn serve(&mut self, block: &str) -> Result<()> {
        let words: Vec<_> = block.split_whitespace().collect();
        match words.as_slice() {
            ["axis", "serve", options @ ..] => self.start(options),
            _ => bail!("the other terminal is for `axis serve …`, and not for {block:?}"),
        }
    }

    /// Ends the axis that runs and starts one with these options on the same data.
    fn start(&mut self, options: &[&str]) -> Result<()> {
        self.stop()?;
        let here = [OsStr::new("env"), OsStr::new("-C"), self.dir.as_os_str()];
        let axis = Axis::builder()
            .data(self.dir.join("axis-data"))
            .launcher(here);
        let axis = match self.broker {
            Some(port) => axis
                .env("AXIS_BUS", format!("amqp://axis@127.0.0.1:{port}/tinh"))
                .env("AXIS_BUS_PASSWORD", "of-the-axis"),
            None => axis,
        };
        let axis = options.iter().fold(axis, |axis, option| axis.arg(option));
        self.axis = Some(axis.start()?);
        Ok(())
    }

    /// Ends the axis; it must have had nothing to complain of.
    fn stop(&mut self) -> Result<()> {
        if let Some(mut axis) = self.axis.take() {
            ensure!(axis.terminate()? == 0);
            let log = axis.stderr().text();
            let complaint = log
                .lines()
                .find(|line| line.contains(" WARN ") || line.contains(" ERROR "));
            ensure!(complaint.is_none(), "the axis complains:\n{log}");
        }
        Ok(())
    }

    fn axis(&self) -> Result<&Axis> {
        self.axis.as_ref().context("no axis runs")
    }

    fn leave(mut self) -> Result<()> {
        self.stop()
    }
}

/// A fenced block of a page.
struct Block<'p> {
    kind: &'p str,
    text: &'p str,
}

fn blocks(page: &str) -> impl Iterator<Item = Block<'_>> {
    // Between two fences there is text, and every second text is a block.
    page.split("\n```").skip(1).step_by(2).filter_map(|fenced| {
        let (kind, text) = fenced.split_once('\n')?;
        Some(Block { kind, text })
    })
}

/// Each line of `expected` stands in `said`, in order.
fn came_out(expected: &str, said: &str) -> Result<()> {
    let mut lines = said.lines();
    for line in expected.lines() {
        ensure!(lines.any(|came| fits(line, came)), "{line:?} is not there");
    }
    Ok(())
}

/// Whether a line is as the page shows it, `…` standing for anything.
fn fits(shown: &str, came: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|start| came.strip_prefix(start)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

/// The SHA-256 of every file that was received, sorted. A part of one must not be left.
fn received(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        ensure!(
            path.extension() == Some(OsStr::new("edxml")),
            "{}",
            path.display()
        );
        found.push(hex(&fs::read(path)?));
    }
    found.sort();
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes everything in a folder but one entry.
fn empty(folder: &Path, but: &str) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == but {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Copies the files of a folder, without its folders.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let _ = fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's own file, not a durable one"
)]
fn put(path: &Path, text: &str) -> Result<()> {
    Ok(fs::write(path, text)?)
}

#[test]
fn a_page_is_read_block_by_block() {
    let page = "# T\n```sh\na\nb\n```\ntext\n\n```sh axis\nserve\n```\n```text\nx\n```\n";
    let blocks: Vec<_> = blocks(page).map(|block| (block.kind, block.text)).collect();
    assert_eq!(
        blocks,
        [("sh", "a\nb"), ("sh axis", "serve"), ("text", "x")]
    );
}

#[test]
fn a_line_fits_when_only_the_dots_differ() {
    assert!(fits("a … c", "a b c") && fits("a …", "a ") && fits("…", "") && fits("a", "a"));
    assert!(!fits("a … c", "a b d") && !fits("a", "a b") && !fits("a…b", "a b c"));
    assert!(came_out("1\n3", "1\n2\n3").is_ok() && came_out("3\n1", "1\n2\n3").is_err());
}
