//! An answer costs no allocation, whatever was asked.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test ends with what goes wrong, and says what it saw"
)]
#![allow(unsafe_code, reason = "an allocator that counts")]

mod dns;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dns::message::{self, Edns, rtype};
use dns::ours;
use dns::peers::Folder;
use nearmost::answer::{LONGEST, Outcome, Transport};
use nearmost::snapshot::{Queue, Snapshot};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator; a thread's counter is made without an allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const ZONE: &str = r"
$ORIGIN example.
$TTL 300
@       SOA   ns1 hostmaster 1 2 3 4 5
        NS    ns1
        NS    ns.sub
ns1     A     192.0.2.1
pool    POOL  site
static  A     192.0.2.2
mx      MX    1 ns1
        MX    2 ns.sub
*.wild  TXT   wild
c1      CNAME c2
c2      CNAME c3
c3      CNAME c4
c4      CNAME any.wild
c5      CNAME pool
loop    CNAME loop
sub     NS    ns.sub
ns.sub  A     192.0.2.3
d       DNAME wild
big     TXT   aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        TXT   baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        TXT   caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";

const POOL: &str = r#"
[server]
nsid = "here"

[pool.site]
probe = "tcp:80"

[node.lon]
at = "LHR"
ip = ["192.0.2.10", "2001:db8::10"]

[node.tyo]
at = "Tokyo, JP"
ip = ["192.0.2.11"]
"#;

/// Asks with the count of allocations taken around the answer alone.
fn counted(snapshot: &Snapshot, packet: &[u8], out: &mut [u8]) -> (Outcome, usize) {
    let before = ALLOCATIONS.get();
    let outcome = ours::ask_into(snapshot, packet, Transport::Udp, out);
    (outcome, ALLOCATIONS.get() - before)
}

#[test]
fn the_queue_of_the_query_log_does_not_allocate() {
    let queue = Queue::new(1, 1);
    let before = ALLOCATIONS.get();
    (0..3000).for_each(|_| queue.put(0, |asked| asked.keep(&[1; 600], &[1; 20])));
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // It was full too, or only half was measured.
    assert!(queue.dropped.get() > 0);
}

#[test]
fn answers_do_not_allocate() {
    let folder = Folder::new("allocations");
    let snapshot = ours::snapshot(folder.path(), &[("example", ZONE)], POOL);
    // The first look of a thread registers it with the table's cell.
    drop(snapshot.table.load());
    let mut out = vec![0; LONGEST];
    let ecs = message::option(8, &[0, 1, 24, 0, 81, 2, 69]);
    let edns = Edns {
        options: [ecs, message::option(3, &[])].concat(),
        ..Edns::of_size(1232)
    };
    let mut ask = |name: &str, qtype: u16, edns: Option<&Edns>| {
        let packet = message::query(1, &message::name(name), qtype, edns);
        let (outcome, allocations) = counted(&snapshot, &packet, &mut out);
        assert_eq!(allocations, 0, "{name} {qtype}");
        let reply = message::Message::read(&out[..outcome.len]).unwrap();
        (
            reply.rcode,
            reply.is(message::TC),
            reply.answer.len(),
            reply.authority.len(),
        )
    };
    // The replies are what they are to be, or nothing was measured.
    assert_eq!(ask("pool.example", rtype::A, Some(&edns)), (0, false, 1, 0));
    assert_eq!(
        ask("pool.example", rtype::AAAA, Some(&edns)),
        (0, false, 1, 0)
    );
    assert_eq!(ask("static.example", rtype::A, None), (0, false, 1, 0));
    assert_eq!(ask("mx.example", 15, Some(&edns)), (0, false, 2, 0));
    assert_eq!(ask("not-here.example", rtype::A, None), (3, false, 0, 1));
    assert_eq!(ask("x.y.wild.example", rtype::TXT, None), (0, false, 1, 0));
    assert_eq!(ask("c1.example", rtype::TXT, None), (0, false, 5, 0));
    assert_eq!(ask("c5.example", rtype::A, Some(&edns)), (0, false, 2, 0));
    assert_eq!(ask("loop.example", rtype::A, None), (0, false, 1, 0));
    assert_eq!(
        ask("x.d.example", rtype::TXT, Some(&edns)),
        (0, false, 3, 0)
    );
    assert_eq!(ask("x.sub.example", rtype::A, None), (0, false, 0, 1));
    assert_eq!(ask("big.example", rtype::TXT, None), (0, true, 0, 0));
    assert_eq!(ask("elsewhere", rtype::A, Some(&edns)), (5, false, 0, 0));
    assert_eq!(ask("static.example", 252, None), (5, false, 0, 0));
    let good = message::query(1, &message::name("static.example"), rtype::A, Some(&edns));
    for len in 0..good.len() {
        let (outcome, allocations) = counted(&snapshot, &good[..len], &mut out);
        assert_eq!((outcome.len > 0, allocations), (len >= 12, 0), "{len}");
    }
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    let some = std::hint::black_box(vec![1]);
    assert!(ALLOCATIONS.get() > before && some.len() == 1);
}
