//! A network of a test's own: network namespaces on one bridge, of which any can be cut off.
//!
//! All of it hangs on processes that end when the test does, however that ends. With the last
//! process in a namespace go its interfaces, so nothing is ever left to be cleaned up.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace. It lasts as long as this does, or a process in it.
#[derive(Debug, Clone)]
pub(crate) struct Namespace(Arc<Holder>);

/// The process that keeps a namespace: it ends when nobody holds the other end of its input.
#[derive(Debug)]
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Namespace {
    /// A new one with nothing but loopback; else why there can be none.
    fn new() -> Result<Self, String> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo made && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start `unshare`: {error}"))?;
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("it is piped");
        let _ = BufReader::new(stdout).read_line(&mut said);
        if said == "made\n" {
            return Ok(Self(Arc::new(Holder(holder))));
        }
        let output = holder.wait_with_output().map_err(|error| error.to_string())?;
        Err(format!("no network namespace: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    fn pid(&self) -> u32 {
        self.0.0.id()
    }

    /// The same command in this namespace; what is set on `command` beside its words is lost.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut entering = Command::new("nsenter");
        entering.arg(format!("--net=/proc/{}/ns/net", self.pid()));
        entering.arg(command.get_program()).args(command.get_args());
        entering
    }

    /// Does something in this namespace, on a thread of its own.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.pid())).unwrap();
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network).unwrap();
                work()
            });
            entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `ip`.
    fn ip(&self, line: &str) -> Result<(), String> {
        let mut ip = Command::new("ip");
        ip.args(line.split_ascii_whitespace());
        let output = self.command(&ip).output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("`ip {line}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Hosts on one bridge, which is in the namespace of the first.
#[derive(Debug)]
pub(crate) struct Network {
    hub: Namespace,
    hosts: Vec<Namespace>,
}

impl Network {
    /// A network of one host; `None` where none can be made, having said why.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can make network namespaces and enter them");
            return None;
        }
        let made = Namespace::new().and_then(|hub| {
            hub.ip("link add hub type bridge")?;
            hub.ip(&format!("address add {}/24 dev hub", Self::HUB))?;
            hub.ip("link set hub up")?;
            Ok(Self { hub, hosts: Vec::new() })
        });
        made.inspect_err(|why| eprintln!("skipped: {why}")).ok()
    }

    /// The address of the first host.
    pub(crate) const HUB: &str = "10.77.0.1";

    /// The first host.
    pub(crate) fn hub(&self) -> &Namespace {
        &self.hub
    }

    /// One more host.
    pub(crate) fn add_host(&mut self) -> Namespace {
        let (host, number) = (Namespace::new().unwrap(), self.hosts.len() + 2);
        let pid = host.pid();
        let pair = format!("link add port{number} type veth peer name port netns {pid}");
        self.hub.ip(&pair).unwrap();
        host.ip(&format!("address add 10.77.0.{number}/24 dev port")).unwrap();
        host.ip("link set port up").unwrap();
        self.hub.ip(&format!("link set port{number} up")).unwrap();
        self.hosts.push(host.clone());
        self.mend(&host);
        host
    }

    /// From now on nothing comes from a host or gets there, and nobody is told: the bridge does
    /// not know the host's port any more, and both ends of the cable stay up.
    pub(crate) fn cut(&self, host: &Namespace) {
        self.hub.ip(&format!("link set {} nomaster", self.port(host))).unwrap();
    }

    /// Ends [`Network::cut`].
    pub(crate) fn mend(&self, host: &Namespace) {
        self.hub.ip(&format!("link set {} master hub", self.port(host))).unwrap();
    }

    fn port(&self, host: &Namespace) -> String {
        let index = self.hosts.iter().position(|known| Arc::ptr_eq(&known.0, &host.0));
        format!("port{}", index.expect("it is of this network") + 2)
    }
}
