//! `tapspan run`: from DPDK ports to spans until a signal. Starts every part, and stops them in the order of the packets'
//! way, so that nothing that was received is left behind.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use dataplane::clock::{Clock, Stopwatch, UtcClock};
use dataplane::dpdk::{self, DeviceSpec, Eal, EalOptions, MemoryMode, Port, RssState, machine};
use dataplane::intake::Intake;
use dataplane::ledger::CountersWriter;
use dataplane::source::capture::CaptureReader;
use dataplane::source::port::PortSource;
use dataplane::wire::LinkType;
use dataplane::worker::Worker;
use flowtable::{Exclusions, Pages, PortId, Sweeper, duration_ns, table};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::cores::{self, Cores};
use super::outlet::{Outlet, WhenFull};
use super::own::OwnTraffic;
use super::plane::{NamedPort, Plane, WorkerView};
use super::signals::Signals;
use super::sweep::SweepControl;
use super::{AppError, DEFAULT_EXPORT, dpdk_log, intake, random, report, spans, threads};
use crate::config::{Listen, PortConfig, Settings};
use crate::export::ExportSettings;
use crate::http::model::{Memory, Phase, WorkerQueue};
use crate::http::{self, ControlPlane};
use crate::span::Interface;
use crate::stitch::{StitchConfig, Stitcher};

/// DPDK's own structures, and the packet buffers of a queue with 2,048 descriptors and jumbo frames.
const MEMORY_MIB_BASE: u32 = 64;
const MEMORY_MIB_PER_QUEUE: u32 = 64;

/// For the operator, where records pass the stitcher.
const STITCHED: &str =
    "both directions of a conversation may come to different workers; their records are joined";

/// What ends the program.
pub(super) enum Event {
    /// A signal, by its name.
    Signal(&'static str),
    /// A worker stopped by itself.
    WorkerEnded(usize),
}

/// Runs until a signal, drains, and reports.
pub(super) fn run(settings: &Settings) -> Result<ExitCode, AppError> {
    if settings.port.is_empty() {
        return Err(AppError::Usage(
            "no port to receive on; name one with --port, such as --port 0000:03:00.0 or \
             --port net_af_packet0,iface=eth1, or in the settings file"
                .into(),
        ));
    }
    // Before anything is opened, so that a bad expression costs nothing.
    intake::options(settings, &[LinkType::Ethernet])?;
    let cores = Cores::choose(&settings.worker.lcores, &machine::allowed_cpus())?;
    let destinations = spans::destinations(&settings.export, DEFAULT_EXPORT)?;
    let runtime =
        Runtime::new().map_err(|error| AppError::Failed(format!("cannot start the endpoint: {error}")))?;
    let listener = listen(&runtime, settings.http.listen)?;
    let eal = Arc::new(start_eal(settings, &cores)?);
    let own = (!settings.flow.own_traffic).then(|| OwnTraffic::new(&destinations));
    let exclusions = own.as_ref().map(OwnTraffic::exclusions).unwrap_or_default();
    let mut live = Live::start(settings, &eal, &cores, &destinations, &exclusions)?;
    if let Some(mut own) = own {
        runtime.block_on(own.begin());
        runtime.spawn(own.follow());
    }
    let (events, received) = unbounded();
    let serving = serve(runtime, listener, Arc::clone(&live.plane), events.clone())?;
    dpdk_log::release();
    live.start_workers(&eal, &events)?;
    info!("polling on cores {:?}; Ctrl-C drains and stops", cores.workers);
    let why = wait(&received);
    let code = live.stop(settings, &destinations);
    drop(serving);
    why.map(|()| code)
}

/// Blocks until something ends the run.
fn wait(events: &Receiver<Event>) -> Result<(), AppError> {
    match events.recv() {
        Ok(Event::Signal(name)) => {
            info!("{name}: draining; once more stops at once");
            Ok(())
        }
        Ok(Event::WorkerEnded(worker)) => Err(AppError::Failed(format!(
            "worker {worker} ended by itself; this is a defect, please report it"
        ))),
        Err(_) => Err(AppError::Failed("every thread that could end the run is gone".into())),
    }
}

pub(super) fn start_eal(settings: &Settings, cores: &Cores) -> Result<Eal, AppError> {
    dpdk_log::start();
    let devices = devices(settings)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by the number of ports and cores a machine has"
    )]
    let queues = (devices.len() * cores.workers.len()) as u32;
    let eal = Eal::init(&EalOptions {
        devices,
        control_cpus: cores.control.clone(),
        memory_mib: MEMORY_MIB_BASE + queues * MEMORY_MIB_PER_QUEUE,
        extra_arguments: settings.dpdk.eal_args.clone(),
        ..EalOptions::default()
    })?;
    info!("{}, packet buffers on {}", Eal::version(), eal.memory_mode());
    Ok(eal)
}

pub(super) fn devices(settings: &Settings) -> Result<Vec<DeviceSpec>, AppError> {
    settings.port.iter().map(|port| Ok(port.device.parse::<DeviceSpec>()?)).collect()
}

fn listen(runtime: &Runtime, listen: Listen) -> Result<Option<TcpListener>, AppError> {
    match listen {
        Listen::Off => Ok(None),
        Listen::On(address) => Ok(Some(runtime.block_on(http::listen(address))?)),
    }
}

/// The endpoint and the signals, on threads of their own until this is dropped.
struct Serving {
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shutdown.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the endpoint was printed when it happened and must not spoil the end.
            let _ = thread.join();
        }
    }
}

fn serve(
    runtime: Runtime,
    listener: Option<TcpListener>,
    plane: Arc<Plane>,
    events: Sender<Event>,
) -> Result<Serving, AppError> {
    let failed = |error: std::io::Error| AppError::Failed(format!("cannot listen for signals: {error}"));
    let signals = {
        let _inside = runtime.enter();
        Signals::listen().map_err(failed)?
    };
    if let Some(address) = listener.as_ref().and_then(|listener| listener.local_addr().ok()) {
        info!("control endpoint on http://{address}");
    }
    let (shutdown, stopped) = oneshot::channel::<()>();
    let thread = threads::spawn("tapspan-http".into(), move || {
        runtime.spawn(signals.serve(events));
        runtime.block_on(async move {
            let stopped = async {
                // Ends when the sender is dropped.
                let _ = stopped.await;
            };
            match listener {
                Some(listener) => {
                    let plane: Arc<dyn ControlPlane> = plane;
                    if let Err(failure) = http::serve(listener, plane, stopped).await {
                        error!("the control endpoint stopped: {failure}");
                    }
                }
                None => stopped.await,
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(Serving { shutdown: Some(shutdown), thread: Some(thread) })
}

/// What belongs to one worker each, in the order of the workers.
struct Lanes {
    ready: Vec<(u16, Worker<PortSource>)>,
    views: Vec<WorkerView>,
    sweepers: Vec<Sweeper>,
    /// Memory of all tables together.
    table_bytes: u64,
}

/// A table, counters and queue of every port for each worker.
fn lanes(
    settings: &Settings,
    seed: u64,
    cores: &Cores,
    ports: &mut [NamedPort],
    exclusions: &Arc<Exclusions>,
) -> Result<Lanes, AppError> {
    let mut lanes = Lanes { ready: Vec::new(), views: Vec::new(), sweepers: Vec::new(), table_bytes: 0 };
    let options = intake::options(settings, &[LinkType::Ethernet])?;
    for (number, core) in (0u16..).zip(&cores.workers) {
        let (mut writer, sweeper) = table(&intake::table_config(settings, seed, Pages::AtStart))?;
        writer.exclude(Arc::clone(exclusions));
        let (counters, read) = CountersWriter::new();
        let (sources, queues) = queues_of(number, settings.worker.burst, ports);
        lanes.table_bytes += writer.memory_bytes() as u64;
        lanes.views.push(WorkerView { core: *core, queues, counters: read, observer: sweeper.observer() });
        lanes.sweepers.push(sweeper);
        let intake = Intake::new(&options, seed);
        lanes.ready.push((*core, Worker { sources, writer, counters, intake }));
    }
    Ok(lanes)
}

/// The parts of a run that stop one after the other.
struct Live {
    stop: Arc<AtomicBool>,
    ready: Vec<(u16, Worker<PortSource>)>,
    workers: Vec<JoinHandle<Worker<PortSource>>>,
    sweeping: JoinHandle<()>,
    sweep: Arc<SweepControl>,
    exporter: crate::export::Exporter,
    plane: Arc<Plane>,
}

impl Live {
    fn start(
        settings: &Settings,
        eal: &Eal,
        cores: &Cores,
        destinations: &[ExportSettings],
        exclusions: &Arc<Exclusions>,
    ) -> Result<Live, AppError> {
        let mut ports = open_ports(settings, eal, cores)?;
        let seed = settings.flow.seed.for_live(random);
        let devices: Vec<_> = ports.iter().map(|named| named.device.as_str()).collect();
        let spans = spans::span_settings(settings, interfaces(&ports), &devices.join(" "), seed)?;
        let mut notes = notes(&ports, cores);
        let exporter = spans::start_exporter(destinations, spans)?;
        let mut outlet = Outlet::new(exporter.handle(), settings.filter.records(), WhenFull::Drop);
        let books = outlet.books();
        let Lanes { ready, views, sweepers, table_bytes } =
            lanes(settings, seed, cores, &mut ports, exclusions)?;
        if needs_stitching(&ports, cores) {
            outlet.stitch(stitcher(settings, seed));
            notes.push(STITCHED.into());
        }
        for note in &notes {
            warn!("{note}");
        }
        let counters = views.iter().map(|view| Arc::clone(&view.counters)).collect();
        let timeouts = settings.flow.timeouts();
        let clock = UtcClock::start();
        let (sweep, sweeper) = SweepControl::new(
            sweepers,
            counters,
            clock.clone(),
            outlet,
            timeouts,
            settings.flow.sweep_interval,
        );
        let sweeping = threads::spawn("tapspan-sweep".into(), move || sweeper.run())?;
        let plane = Arc::new(Plane {
            started: clock.now(),
            clock: clock.clone(),
            uptime: Stopwatch::start(),
            phase: AtomicU8::new(Phase::Starting as u8),
            memory: memory(eal, table_bytes),
            notes,
            ports,
            workers: views,
            sweep: Arc::clone(&sweep),
            books,
            export: exporter.handle(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        Ok(Live { stop, ready, workers: Vec::new(), sweeping, sweep, exporter, plane })
    }

    fn start_workers(&mut self, eal: &Arc<Eal>, events: &Sender<Event>) -> Result<(), AppError> {
        for (number, (core, worker)) in self.ready.drain(..).enumerate() {
            let body = poll_on(
                core,
                worker,
                self.plane.clock.clone(),
                Arc::clone(eal),
                Arc::clone(&self.stop),
                WorkerEnd(number, events.clone()),
            );
            self.workers.push(threads::spawn(format!("tapspan-rx-{number}"), body)?);
        }
        self.plane.enter(Phase::Running);
        Ok(())
    }

    /// Workers first, then the last sweep, then the exporter: each has taken in all of the one before.
    fn stop(self, settings: &Settings, destinations: &[ExportSettings]) -> ExitCode {
        self.plane.enter(Phase::Draining);
        // Relaxed: joining the workers below orders everything they did.
        self.stop.store(true, Ordering::Relaxed);
        let mut whole = true;
        for worker in self.workers {
            whole &= worker.join().is_ok();
        }
        let (drain, grace) = (Stopwatch::start(), settings.export.shutdown_grace);
        self.sweep.stop(drain, grace);
        whole &= self.sweeping.join().is_ok();
        self.exporter.shutdown(grace.saturating_sub(Duration::from_nanos(drain.elapsed_ns())));
        report::print(&self.plane.ledger().to_string(), spans::uses_stdout(destinations));
        if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Tells the main thread when a worker ends, also by a panic.
struct WorkerEnd(usize, Sender<Event>);

impl Drop for WorkerEnd {
    fn drop(&mut self) {
        // Nobody listens any more when the worker was told to stop.
        let _ = self.1.send(Event::WorkerEnded(self.0));
    }
}

fn poll_on(
    core: u16,
    mut worker: Worker<PortSource>,
    clock: UtcClock,
    eal: Arc<Eal>,
    stop: Arc<AtomicBool>,
    end: WorkerEnd,
) -> impl FnOnce() -> Worker<PortSource> + Send + 'static {
    move || {
        let _end = end;
        if !core_affinity::set_for_current(core_affinity::CoreId { id: usize::from(core) }) {
            warn!("worker could not be pinned to core {core}; it may be moved about");
        }
        let registered = eal.register_worker_thread();
        if let Err(failure) = &registered {
            warn!("{failure}; packet buffers of this worker are not cached");
        }
        worker.run(&clock, &stop);
        worker
    }
}

fn open_ports(settings: &Settings, eal: &Eal, cores: &Cores) -> Result<Vec<NamedPort>, AppError> {
    let mut ports = Vec::with_capacity(settings.port.len());
    for (config, device) in settings.port.iter().zip(devices(settings)?) {
        refuse_other_links(&device)?;
        let port = Port::open(eal, &device, &port_config(config, cores))?;
        describe(&config.name, &port);
        ports.push(NamedPort { name: config.name.clone(), device: config.device.clone(), port });
    }
    Ok(ports)
}

/// Ports carry Ethernet; a capture of anything else behind `net_pcap` would be misread.
fn refuse_other_links(device: &DeviceSpec) -> Result<(), AppError> {
    let files = device.arguments().split(',').filter_map(|argument| argument.strip_prefix("rx_pcap="));
    for file in files {
        // A file that cannot be read is the driver's to refuse.
        let first =
            CaptureReader::open(file).and_then(|mut reader| Ok(reader.next()?.map(|frame| frame.link)));
        if let Ok(Some(link)) = first
            && link != LinkType::Ethernet
        {
            let advice = "a port takes Ethernet only; read it with tapspan replay";
            return Err(AppError::Failed(format!(
                "device {device}: {file} is a capture of {link:?}: {advice}"
            )));
        }
    }
    Ok(())
}

/// A queue for each worker.
pub(super) fn port_config(config: &PortConfig, cores: &Cores) -> dpdk::PortConfig {
    dpdk::PortConfig {
        rx_queues: u16::try_from(cores.workers.len()).unwrap_or(u16::MAX),
        rx_descriptors: config.rx_descriptors,
        promiscuous: config.promiscuous,
        ..dpdk::PortConfig::default()
    }
}

fn describe(name: &str, port: &Port) {
    let info = port.info();
    let link = match port.link() {
        Some(link) if link.up => link.speed_mbps.map_or("up".into(), |mbps| format!("up at {mbps} Mbit/s")),
        Some(_) => "down".to_owned(),
        None => "unknown".to_owned(),
    };
    let node = info.numa_node.map_or("none".to_owned(), |node| node.to_string());
    info!(
        "port {name}: {} ({}), link {link}, NUMA node {node}, {} queues of {} descriptors, RSS {}",
        info.device, info.driver, info.rx_queues, info.rx_descriptors, info.rss
    );
}

/// What the operator should know, for the log and the status.
fn notes(ports: &[NamedPort], cores: &Cores) -> Vec<String> {
    let mut notes = Vec::new();
    for named in ports {
        let info = named.port.info();
        notes.extend(info.notes.iter().map(|note| format!("port {}: {note}", named.name)));
        if usize::from(info.rx_queues) < cores.workers.len() {
            notes.push(format!(
                "port {} has {} receive queues for {} workers; the others do not poll it",
                named.name,
                info.rx_queues,
                cores.workers.len()
            ));
        }
        if let RssState::Asymmetric(why) = &info.rss {
            notes.push(format!("port {}: RSS is not symmetric: {why}", named.name));
        }
        for core in &cores.workers {
            if let (Some(near), Some(node)) = (info.numa_node, cores::numa_node(*core))
                && near != node
            {
                notes.push(format!("port {} is on NUMA node {near}, core {core} on node {node}", named.name));
            }
        }
    }
    if cores.are_shared() {
        notes.push(
            "sweep and export share a core with a worker that never sleeps; leave them one with --lcores"
                .to_owned(),
        );
    }
    notes
}

/// Whether the two directions of a conversation may come to different workers: a port does not spread them alike, or the
/// ports of a TAP spread over different numbers of queues.
fn needs_stitching(ports: &[NamedPort], cores: &Cores) -> bool {
    let uneven = ports.windows(2).any(|pair| pair[0].port.info().rx_queues != pair[1].port.info().rx_queues);
    let asymmetric = ports.iter().any(|named| matches!(named.port.info().rss, RssState::Asymmetric(_)));
    cores.workers.len() > 1 && (uneven || asymmetric)
}

/// Holds halves for two sweeps, as the other half's table is swept in the same round or the next.
fn stitcher(settings: &Settings, seed: u64) -> Stitcher {
    let hold_ns = 2 * duration_ns(settings.flow.sweep_interval);
    let config = StitchConfig { hold_ns, capacity: settings.flow.capacity, seed };
    Stitcher::new(config, settings.flow.timeouts())
}

/// Queue `worker` of every port that has one.
fn queues_of(worker: u16, burst: u16, ports: &mut [NamedPort]) -> (Vec<PortSource>, Vec<WorkerQueue>) {
    let mut queues = Vec::new();
    let mut sources = Vec::new();
    for (id, named) in (0..).zip(ports) {
        if let Some(queue) = named.port.take_rx_queue(worker) {
            sources.push(PortSource::new(queue, PortId(id), burst));
            queues.push(WorkerQueue { port: named.name.clone(), queue: worker });
        }
    }
    (sources, queues)
}

/// How spans name the ports: the kernel's index where the device stands on a kernel interface, DPDK's number otherwise.
fn interfaces(ports: &[NamedPort]) -> Vec<Interface> {
    let index = |named: &NamedPort| {
        let info = named.port.info();
        Some(info.kernel_interface_index.unwrap_or_else(|| u32::from(info.id)))
    };
    ports.iter().map(|named| Interface { name: named.name.clone(), index: index(named) }).collect()
}

fn memory(eal: &Eal, flow_tables_bytes: u64) -> Memory {
    Memory {
        huge_pages: matches!(eal.memory_mode(), MemoryMode::HugePages { .. }),
        detail: eal.memory_mode().to_string(),
        flow_tables_bytes,
    }
}
