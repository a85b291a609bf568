//! A private RabbitMQ: its own node name, ports, port mapper, cookie and data folder.
//!
//! The installed server is used, never its service. Commands go through a small door inside the
//! node, which evaluates Erlang: `rabbitmqctl` takes two seconds a call, this takes none.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::axis::write;
use crate::proc::Proc;

/// The server itself. The script in the `PATH` of Debian changes the user and forgets its
/// environment.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// How long a start may take. It takes five seconds on a quiet machine.
const START_WITHIN: Duration = Duration::from_secs(90);

/// While it starts, questions are lost at times.
const SOON: Duration = Duration::from_millis(500);

/// How long an answer of the node may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Whether it takes clients.
const SERVES: &str = "rabbit_boot_state:get() =:= ready.";

/// Ends with its input: whatever becomes of the test process, the broker and its port mapper do
/// not outlive it.
const KEEPER: &str = r#"
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 </dev/null >/dev/null 2>&1 &
"$0" </dev/null &
read _
kill -KILL 0
"#;

/// The door: evaluates what it is sent, in packets with four bytes of length before them.
const DOOR: &str = r#"
spawn(fun() ->
  {ok, L} = gen_tcp:listen(0, [binary, {packet, 4}, {active, false}, {ip, {127,0,0,1}}]),
  {ok, P} = inet:port(L),
  ok = file:write_file("@.new", integer_to_list(P)),
  ok = file:rename("@.new", "@"),
  Serve = fun Serve(S) ->
    case gen_tcp:recv(S, 0) of
      {ok, Text} ->
        Said = try
          {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
          {ok, Parsed} = erl_parse:parse_exprs(Tokens),
          {value, Value, _} = erl_eval:exprs(Parsed, []),
          case io_lib:printable_unicode_list(Value) of
            true -> ["ok ", Value];
            false -> io_lib:format("ok ~tp", [Value])
          end
        catch Class:Reason -> io_lib:format("error ~tp: ~tp", [Class, Reason]) end,
        ok = gen_tcp:send(S, unicode:characters_to_binary(Said)),
        Serve(S);
      _ -> gen_tcp:close(S)
    end
  end,
  %% The process that serves is told to go by whoever accepted.
  Go = fun Go() ->
    case gen_tcp:accept(L) of
      {ok, S} ->
        Pid = spawn(fun() -> receive go -> Serve(S) end end),
        %% Whoever asked may have left.
        _ = gen_tcp:controlling_process(S, Pid),
        Pid ! go;
      %% The system tells here of one that left before it was let in.
      {error, _} -> receive after 20 -> ok end
    end,
    Go()
  end,
  Go()
end).
"#;

/// A running broker; killed with all that belongs to it when dropped.
#[derive(Debug)]
pub struct Broker {
    dir: TempDir,
    node: String,
    amqp: u16,
    dist: u16,
    epmd: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    keeper: Child,
    /// Closed, it ends everything.
    _leash: Option<ChildStdin>,
    door: u16,
}

/// A vhost of its own for one test, with a user who may do everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vhost {
    /// Its name, which is the user's as well.
    pub name: String,
    /// The user's password.
    pub password: String,
    /// `amqp://user@127.0.0.1:port/vhost`, without the password.
    pub url: String,
}

impl Broker {
    /// Starts a broker and waits until it serves.
    ///
    /// # Errors
    /// RabbitMQ is not installed, or does not start; the message holds its last log lines.
    pub fn start() -> Result<Self> {
        // A killed broker keeps what lies in memory; a power cut is nobody's test here. So the
        // disk is left to those who need it, where the system has such a folder.
        let shared = Path::new("/dev/shm");
        if shared.is_dir() {
            Self::start_in(shared)
        } else {
            Self::start_in(&std::env::temp_dir())
        }
    }

    /// The same with its data in a new folder under `place`: where a disk's speed counts.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(place: &Path) -> Result<Self> {
        ensure!(
            Path::new(SERVER).is_file(),
            "RabbitMQ is not installed ({SERVER} is missing); `cargo xtask test` installs it when run as root, else type\n    sudo apt-get install -y rabbitmq-server\nand stop its service"
        );
        let dir = tempfile::Builder::new()
            .prefix("broker-")
            .tempdir_in(place)
            .context("cannot make a temporary folder")?;
        let [amqp, dist, epmd] = free_ports()?;
        let mut broker = Self {
            node: format!("axis{amqp}@localhost"),
            dir,
            amqp,
            dist,
            epmd,
            running: None,
        };
        broker.prepare()?;
        broker.run()?;
        Ok(broker)
    }

    /// The port of AMQP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.amqp
    }

    /// Memory and CPU time of the broker.
    ///
    /// # Errors
    /// It does not run.
    pub fn proc(&self) -> Result<Proc> {
        let pid = self.eval("os:getpid().")?;
        Ok(Proc::of(pid.trim().parse().context("no process id")?))
    }

    /// Evaluates Erlang inside the node: expressions that end with a dot. The answer is the last
    /// value as text.
    ///
    /// # Errors
    /// The node does not run or the expression failed.
    pub fn eval(&self, erlang: &str) -> Result<String> {
        let running = self.running.as_ref().context("the broker does not run")?;
        let answer = ask(running.door, erlang, ANSWER_WITHIN)
            .with_context(|| format!("the broker gave no answer to {erlang}"))?;
        match answer.split_once(' ') {
            Some(("ok", value)) => Ok(value.to_owned()),
            _ => bail!("{erlang}\n{answer}"),
        }
    }

    /// Calls `rabbitmqctl`, which takes some seconds; see [`eval`](Self::eval).
    ///
    /// # Errors
    /// It failed; with what it wrote.
    pub fn ctl(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command(CTL);
        let output = command
            .args(["-n", &self.node])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {CTL}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "rabbitmqctl {}: {said}{}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said.into_owned())
    }

    /// Makes a vhost with its user.
    ///
    /// # Errors
    /// The broker does not.
    pub fn vhost(&self, name: &str) -> Result<Vhost> {
        let password = format!("mk-{name}");
        self.add_vhost(name)?;
        self.add_user(name, &password)?;
        self.permit(name, name, ".*", ".*", ".*")?;
        Ok(Vhost {
            name: name.to_owned(),
            url: format!("amqp://{name}@127.0.0.1:{}/{name}", self.amqp),
            password,
        })
    }

    /// Makes a vhost.
    ///
    /// # Errors
    /// The broker does not.
    pub fn add_vhost(&self, name: &str) -> Result<()> {
        self.eval(&format!(
            "rabbit_vhost:add({}, <<\"test\">>).",
            binary(name)
        ))
        .map(drop)
    }

    /// Deletes a vhost with all in it.
    ///
    /// # Errors
    /// The broker does not.
    pub fn delete_vhost(&self, name: &str) -> Result<()> {
        self.eval(&format!(
            "rabbit_vhost:delete({}, <<\"test\">>).",
            binary(name)
        ))
        .map(drop)
    }

    /// Empties a vhost: it is deleted and made anew, with the user's permissions.
    ///
    /// # Errors
    /// The broker does not.
    pub fn wipe(&self, vhost: &Vhost) -> Result<()> {
        self.delete_vhost(&vhost.name)?;
        self.add_vhost(&vhost.name)?;
        self.permit(&vhost.name, &vhost.name, ".*", ".*", ".*")
    }

    /// Makes a user, without any permission.
    ///
    /// # Errors
    /// The broker does not.
    pub fn add_user(&self, name: &str, password: &str) -> Result<()> {
        self.eval(&format!(
            "rabbit_auth_backend_internal:add_user({}, {}, <<\"test\">>).",
            binary(name),
            binary(password)
        ))
        .map(drop)
    }

    /// Changes a user's password.
    ///
    /// # Errors
    /// The broker does not.
    pub fn set_password(&self, user: &str, password: &str) -> Result<()> {
        self.eval(&format!(
            "rabbit_auth_backend_internal:change_password({}, {}, <<\"test\">>).",
            binary(user),
            binary(password)
        ))
        .map(drop)
    }

    /// Sets a user's permissions: regular expressions on names.
    ///
    /// # Errors
    /// The broker does not.
    pub fn permit(
        &self,
        vhost: &str,
        user: &str,
        configure: &str,
        write: &str,
        read: &str,
    ) -> Result<()> {
        let [vhost, user, configure, write, read] =
            [vhost, user, configure, write, read].map(binary);
        self.eval(&format!(
            "rabbit_auth_backend_internal:set_permissions({user}, {vhost}, {configure}, {write}, {read}, <<\"test\">>)."
        ))
        .map(drop)
    }

    /// Sets a user's permissions on the routing keys of a topic exchange.
    ///
    /// # Errors
    /// The broker does not.
    pub fn permit_topic(
        &self,
        vhost: &str,
        user: &str,
        exchange: &str,
        write: &str,
        read: &str,
    ) -> Result<()> {
        let [vhost, user, exchange, write, read] = [vhost, user, exchange, write, read].map(binary);
        self.eval(&format!(
            "rabbit_auth_backend_internal:set_topic_permissions({user}, {vhost}, {exchange}, {write}, {read}, <<\"test\">>)."
        ))
        .map(drop)
    }

    /// Deletes a queue.
    ///
    /// # Errors
    /// There is none, or the broker does not.
    pub fn delete_queue(&self, vhost: &str, name: &str) -> Result<()> {
        self.eval(&format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r({}, queue, {})), {{ok, _}} = rabbit_amqqueue:delete(Q, false, false, <<\"test\">>).",
            binary(vhost),
            binary(name)
        ))
        .map(drop)
    }

    /// The names of a vhost's queues, sorted.
    ///
    /// # Errors
    /// The broker does not say.
    pub fn queues(&self, vhost: &str) -> Result<Vec<String>> {
        let names = self.eval(&format!(
            "lists:flatten(lists:join(\"\\n\", lists:sort([binary_to_list(element(4, amqqueue:get_name(Q))) || Q <- rabbit_amqqueue:list({})]))).",
            binary(vhost)
        ))?;
        Ok(names
            .lines()
            .filter(|name| !name.is_empty() && *name != "[]")
            .map(str::to_owned)
            .collect())
    }

    /// Closes every client's connection, as an operator may.
    ///
    /// # Errors
    /// The broker does not.
    pub fn close_connections(&self) -> Result<()> {
        // One that is just leaving by itself is no fault.
        self.eval("[catch rabbit_networking:close_connection(C, \"closed by the test\") || C <- rabbit_networking:connections()].")
            .map(drop)
    }

    /// How many clients are connected.
    ///
    /// # Errors
    /// The broker does not say.
    pub fn connections(&self) -> Result<usize> {
        let count = self.eval("length(rabbit_networking:connections()).")?;
        count.trim().parse().context("no number")
    }

    /// Raises the memory alarm, or ends it.
    ///
    /// # Errors
    /// The broker does not.
    pub fn memory_alarm(&self, on: bool) -> Result<()> {
        let mark = if on { "0.000001" } else { "0.6" };
        self.eval(&format!(
            "vm_memory_monitor:set_vm_memory_high_watermark({mark})."
        ))?;
        self.alarmed("memory", on)
    }

    /// Raises the disk alarm, or ends it.
    ///
    /// # Errors
    /// The broker does not.
    pub fn disk_alarm(&self, on: bool) -> Result<()> {
        let limit = if on { "1000000000000000" } else { "50000000" };
        self.eval(&format!(
            "rabbit_disk_monitor:set_disk_free_limit({limit})."
        ))?;
        self.alarmed("disk", on)
    }

    fn alarmed(&self, resource: &str, on: bool) -> Result<()> {
        self.until(&format!("the {resource} alarm is {on}"), || {
            let alarms = self.eval("rabbit_alarm:get_alarms().")?;
            Ok(alarms.contains(resource) == on)
        })
    }

    /// Stops the broker inside its node: clients are told.
    ///
    /// # Errors
    /// It does not stop.
    pub fn stop_app(&self) -> Result<()> {
        self.eval("rabbit:stop().").map(drop)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_app(&self) -> Result<()> {
        self.eval("rabbit:start().").map(drop)?;
        self.until("the broker serves", || self.serves())
    }

    /// Waits until the node has written down which quorum queues it has. It does so every half
    /// second, and a queue made after that and killed before the next time has no leader ever
    /// after (RabbitMQ 3.10).
    ///
    /// # Errors
    /// The broker does not say.
    pub fn settle_queues(&self) -> Result<()> {
        self.eval("[dets:sync(T) || T <- dets:all()].").map(drop)
    }

    /// Ends the node with SIGKILL.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.end()?;
        }
        Ok(())
    }

    /// Holds the node in its tracks: it reads and answers nothing, and its connections stay. Ask
    /// it nothing until it goes [on](Self::go_on).
    ///
    /// # Errors
    /// It does not run, or the system refuses it.
    pub fn hold(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`hold`](Self::hold).
    ///
    /// # Errors
    /// It does not run, or the system refuses it.
    pub fn go_on(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.running.as_ref().context("the broker does not run")?;
        let group = i32::try_from(running.keeper.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process_group(group.context("no process id")?, signal).context("no such process")
    }

    /// Opens a listener for `amqps://` as well, until the next start: PEM files of the authority
    /// that signs clients' certificates, of its own certificate and of its key. A client without
    /// a certificate is not let in if `ask`. Gives the port.
    ///
    /// # Errors
    /// The broker does not.
    pub fn listen_tls(&self, ca: &Path, cert: &Path, key: &Path, ask: bool) -> Result<u16> {
        let [port] = free_ports()?;
        let [ca, cert, key] = [ca, cert, key].map(|path| text(&path.display().to_string()));
        self.eval(&format!(
            "{{ok, _}} = application:ensure_all_started(ssl), ok = rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {port}, inet}}, [{{cacertfile, {ca}}}, {{certfile, {cert}}}, {{keyfile, {key}}}, {{verify, verify_peer}}, {{fail_if_no_peer_cert, {ask}}}], 2)."
        ))?;
        Ok(port)
    }

    /// Starts the node again, with its data and on its ports.
    ///
    /// # Errors
    /// It runs, or does not start.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "the broker runs already");
        self.run()
    }

    fn prepare(&self) -> Result<()> {
        let mut conf = String::new();
        // What a test needs, on loopback alone; and a log that is small and small files, since
        // each test makes its own.
        writeln!(conf, "listeners.tcp.1 = 127.0.0.1:{}", self.amqp)?;
        conf.push_str(
            "loopback_users = none\nlog.file.level = warning\ndisk_free_limit.absolute = 50MB\nvm_memory_high_watermark.relative = 0.6\nraft.wal_max_size_bytes = 33554432\n",
        );
        write(&self.path("rabbitmq.conf"), conf.as_bytes())?;
        write(&self.path("plugins"), b"[].\n")?;
        let door = DOOR.replace('@', &self.path("door").display().to_string());
        write(&self.path("door.erl"), door.as_bytes())?;
        Ok(())
    }

    /// Starts the node. Now and then one comes up whose door does not open: then it is started
    /// once more, since nothing of it is what a test is about.
    fn run(&mut self) -> Result<()> {
        let first = match self.run_once() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        self.run_once()
            .with_context(|| format!("it did not start before either: {first:#}"))
    }

    fn run_once(&mut self) -> Result<()> {
        let _ = std::fs::remove_file(self.path("door"));
        // At the front of the command line: what stands behind `-s rabbit boot` is never run.
        let door = format!("-run file script {}", self.path("door.erl").display());
        let log = File::create(self.path("console.log")).context("cannot make a log file")?;
        let mut command = self.command("sh");
        command
            .args(["-c", KEEPER, SERVER])
            .env("ERL_AFLAGS", door)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().context("cannot use the log file twice")?)
            .stderr(log);
        let mut keeper = command.spawn().context("cannot start a shell")?;
        let leash = keeper.stdin.take();
        self.running = Some(Running {
            keeper,
            _leash: leash,
            door: 0,
        });
        let began = Instant::now();
        let mut last = "there is no door".to_owned();
        let started = self.until("the broker serves", || {
            let Ok(port) = std::fs::read_to_string(self.path("door")) else {
                return Ok(false);
            };
            let port: u16 = port.trim().parse().context("no port")?;
            last = match ask(port, SERVES, SOON) {
                Ok(said) if said == "ok true" => return Ok(true),
                Ok(said) => said,
                Err(error) => format!("{error:#}"),
            };
            Ok(false)
        });
        if let Err(error) = started {
            self.kill9()?;
            let mut said = String::new();
            for log in ["console.log", "log"] {
                said.push_str(&tail(&self.path(log)));
            }
            return Err(error.context(format!("after {:?}: {last}: {said}", began.elapsed())));
        }
        let port = std::fs::read_to_string(self.path("door")).context("no door")?;
        if let Some(running) = &mut self.running {
            running.door = port.trim().parse().context("no port")?;
        }
        Ok(())
    }

    fn serves(&self) -> Result<bool> {
        Ok(self.eval(SERVES)? == "true")
    }

    /// A command in the environment of this node.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", self.dir.path())
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_DIST_PORT", self.dist.to_string())
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", self.path("data"))
            .env("RABBITMQ_LOG_BASE", self.path("log"))
            .env("RABBITMQ_CONFIG_FILE", self.path("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", self.path("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("plugins"))
            .env("RABBITMQ_PID_FILE", self.path("pid"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", self.path("generated"))
            // Spinning schedulers take what the tests need.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+sbwt none +sbwtdcpu none +sbwtdio none",
            )
            .current_dir(self.dir.path());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until `holds`.
    fn until(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        while !holds()? {
            ensure!(Instant::now() < deadline, "waited in vain until {what}");
            pause();
        }
        Ok(())
    }
}

impl Running {
    fn end(&mut self) -> Result<()> {
        if let Some(group) = i32::try_from(self.keeper.id()).ok().and_then(Pid::from_raw) {
            match kill_process_group(group, Signal::KILL) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error).context("cannot kill the broker"),
            }
        }
        self.keeper.wait().context("cannot reap the broker")?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The conditions waited for here are in another process, which tells nobody.
#[expect(clippy::disallowed_methods, reason = "there is nothing to wait on")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// `text` as Erlang's string.
fn text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The same as a binary.
fn binary(of: &str) -> String {
    format!("<<{}/utf8>>", text(of))
}

fn ask(door: u16, erlang: &str, within: Duration) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, door))?;
    stream.set_read_timeout(Some(within))?;
    let length = u32::try_from(erlang.len())?;
    stream.write_all(&[&length.to_be_bytes(), erlang.as_bytes()].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Ports that are free now. Another process may take one before the broker does; then the start
/// fails and says so.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// The last lines of a file, or of every file in a folder.
fn tail(path: &Path) -> String {
    if let Ok(entries) = std::fs::read_dir(path) {
        return entries.flatten().map(|entry| tail(&entry.path())).collect();
    }
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(20);
    format!("\n{}:\n{}\n", path.display(), lines[from..].join("\n"))
}
