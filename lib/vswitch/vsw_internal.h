/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Private structures of the switch. What a data lcore reads while it runs is replaced, never
 * changed in place, or is a single word; what it writes belongs to it alone.
 */
#ifndef VSW_INTERNAL_H
#define VSW_INTERNAL_H

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <rte_spinlock.h>

#include <nfe_hints.h>
#include <nfed_allowance.h>

#include "vsw.h"
#include "vsw_fdb.h"
#include "vsw_rate.h"

#define VSW_BURST 64           /* default of cells taken from a send queue per turn (rule 3) */
#define VSW_UPLINK_BURST 32    /* mbufs */
#define VSW_UPLINK_MAX_SEGS 32 /* mbufs of one frame to an uplink */
#define VSW_CELL_COST 192      /* bytes that a cell costs an lcore besides those of its frame */
#define VSW_CELL_BYTES 1536    /* of frames that a turn takes for each cell of the burst */
#define VSW_NODES 1024         /* staged runs of frames before a flush */
#define VSW_MAX_BUFS 14        /* buffers of one received frame: what one RET gives back */
#define VSW_STORM_KICKS 64 /* without work, one soon after the other (vsw_lcore.c) */
#define VSW_INLINE_CELLS 9     /* of VSW_INLINE_MAX; fewer than VSW_MIN_BURST */
#define VSW_PROBE_FILLS 64     /* buffers touched at once while page faults are asked for */
#define VSW_NO_NODE UINT16_MAX
#define VSW_LEARN_SHIFT 48     /* note for the control thread: MAC below, port id above */
#define VSW_MAC_BYTES 6
#define VSW_FLOOD_BURST (1u << 20) /* bytes of flooded copies that a port may cause at once */
#define VSW_TOLD 256           /* power of two */
#define VSW_FLOW_MAX 82        /* bytes that tell a frame's flow: VLAN tag, longest IPv4 header, ports */

struct vsw_lcore;

/* A frame on its way: header in private memory, then segments in registered memory or an mbuf.
 * Only the private header is looked at; the segments are copied once (rules 1, 7, 19). */
struct vsw_seg {
	const uint8_t *addr;
	uint32_t len;
	const struct nfed_region *region; /* NULL: our own memory */
};
struct vsw_frame {
	const uint8_t *hdr;
	const struct vsw_seg *seg;
	uint32_t len;     /* all of it */
	uint16_t hdr_len; /* min(40, len) at least; an inline frame is all header */
	uint8_t nsegs;
	uint8_t flags; /* NFE_MSG_F_CSUM_* and _GSO; 0 for nearly all */
	union {
		const union nfe_msg *cells; /* no flags: as INLINE cells, tail zeroed; NULL: none */
		const struct nfe_hints *hints; /* flags; NULL: CSUM_OK alone */
	};
};

/* Where frames are staged until they are delivered: a receive channel or an uplink. */
struct vsw_dst {
	uint16_t slot; /* index into the staging lists of each lcore */
	struct vsw_port *port;
	struct vsw_chan *chan; /* NULL: uplink */
};

struct vsw_chan { /* a running channel of a VIF */
	struct nfed_channel *ch;
	struct vsw_port *port;
	struct vsw_lcore *lcore; /* polls the send queue */
	/* negotiated, fixed while it runs */
	uint32_t inline_to_device, inline_to_host; /* bytes */
	uint32_t max_segs, max_frame;              /* from the guest */
	uint32_t max_bufs;                         /* of one frame to the guest */
	uint8_t flags_to_device, flags_to_host;    /* NFE_MSG_F_* that messages may carry */
	bool may_idle; /* the guest kicks: NFE_F_EVENT_IDX was accepted */
	/* lcore's own */
	struct vsw_chan *next, *prev; /* ring of the hot ones of its port on this lcore */
	bool hot;
	bool returns;         /* went hot by a kick soon after it had fallen idle */
	uint64_t last_work;   /* TSC */
	struct vsw_fdb_cache fdb_cache;
	/* receive side, any lcore under lock */
	struct vsw_dst dst;
	struct vsw_lcore *writer; /* atomic: that delivered last */
	rte_spinlock_t lock;
};

struct vsw_rss; /* vsw_rss.h */

struct vsw_rxset { /* channels of a VIF that take frames; replaced as a whole */
	unsigned int n;
	const struct vsw_rss *rss; /* NULL: flows spread as we like */
	struct vsw_chan *chan[NFED_MAX_CHANNELS];
	struct vsw_chan *by_reta[NFE_RSS_RETA_SIZE]; /* with rss; all of them run */
};

struct vsw_list {
	unsigned int n;
	struct vsw_port **port;
};
struct vsw_member { /* a group address in a port's filter */
	uint64_t mac;
	struct vsw_port *port;
};
struct vsw_takers { /* who takes frames that are not for one known port; replaced as a whole */
	struct vsw_list broadcast, groups, unknown; /* groups: all multicast */
	struct vsw_member *member; /* further takers of multicast, ascending by address */
	unsigned int nb_members;
};

struct vsw_uplink {
	struct rte_mempool *pool; /* both directions; sized by its MTU */
	uint16_t ethdev;
	uint16_t nb_txq;
	bool learning;
	bool checks; /* the device looks at TCP and UDP checksums */
	bool sums;   /* and makes them */
	bool cuts;   /* and segments TCP */
	uint32_t room;    /* bytes of a frame in one mbuf */
	uint32_t max_len; /* bytes in a chain that the device takes */
	unsigned int lcore; /* index of the one that receives */
	struct { /* addresses passed to learning, by hash; lcore's own */
		uint64_t mac, until; /* TSC */
	} told[VSW_TOLD];
	struct vsw_dst dst;
	struct vsw_fdb_cache fdb_cache; /* receiving lcore's own */
	rte_spinlock_t tx_lock[VSW_MAX_LCORES];
};

struct vsw_port {
	uint16_t id;
	bool is_uplink;
	bool source_check;
	bool promisc_allowed;
	uint32_t max_frame; /* to the guest, from its MTU */
	uint32_t rx_mode;   /* NFE_RX_* */
	bool tells_hash;    /* messages to the guest carry the hash of rx->rss */
	uint64_t mac;       /* primary, vsw_mac_u64() */
	uint64_t macs[VSW_MAX_MACS]; /* further ones; 0: free */
	struct vsw_rxset *rx; /* NULL: link down */
	struct vsw_uplink *uplink;
	uint64_t vlans[NFE_VLAN_WORDS]; /* with NFE_RX_VLAN_FILTER */
	struct vsw_rate rate __rte_cache_aligned; /* every lcore with channels of it */
	/* control thread */
	struct vsw *sw __rte_cache_aligned;
	struct nfed_function *fn;
	int data_kick_fd;
	bool takes; /* is in sw->takers */
	uint32_t attention; /* a data lcore wants nfed_control_run() */
	struct vsw_chan *chan[NFED_MAX_CHANNELS + 1]; /* by number */
	uint32_t mtu;
	struct vsw_rss *rss; /* as the guest wants it; NULL: no RSS */
	uint8_t reta[NFE_RSS_RETA_SIZE]; /* channel numbers; 0: any */
	uint64_t stats[NFE_STAT_MAX]; /* last answer to the guest */
	uint64_t stats_tsc;           /* start of the window in which it asks */
	unsigned int stats_asked;     /* questions in it that reached the lcores */
	struct nfed_allowance log_lines; /* TSC */
	unsigned int log_suppressed;
	struct vsw_vif_conf conf;
	char name[VSW_NAME_LEN];
};

enum vsw_op { VSW_OP_ADD_CHAN, VSW_OP_DEL_CHAN, VSW_OP_COUNTERS, VSW_OP_ZERO };
struct vsw_mail { /* one request to a data lcore; the control thread waits for done */
	enum vsw_op op;
	struct vsw_chan *chan;
	unsigned int first, n; /* ports */
	uint64_t (*copy)[NFE_STAT_MAX];
	int rc;
	uint32_t done;
};

struct vsw_share { /* of a port in an lcore's time: deficit round robin */
	struct vsw_chan *next; /* of its hot channels, whose turn it is */
	int64_t deficit;       /* bytes that it may send in this round */
	struct vsw_rate *rate; /* NULL: no limit */
	unsigned int weight;
	unsigned int nb_hot;
	unsigned int at;       /* in active[] */
	uint64_t kicked;       /* TSC; no channel has found work since. 0: one has */
	unsigned int spurious; /* such kicks since storm_since */
	uint64_t storm_since;  /* TSC */
	uint64_t hold_until;   /* TSC; kick storm: all its channels stay hot (rule 10) */
};

struct vsw_node { /* a run of frames */
	uint16_t first, end;
	uint16_t next;
};
struct vsw_stage { /* runs for one destination, in order */
	uint16_t head, tail;
};
struct vsw_ahead { /* cells of a receive queue asked for, vsw_ahead.h */
	const struct nfed_queue *rq; /* NULL: none */
	uint32_t next, end; /* indices: to be asked for */
};
struct vsw_probe { /* while probing: what of a destination's memory was touched, and is paid for */
	uint32_t cells_end;  /* index in the receive queue */
	uint32_t first, end; /* indices in the fill queue */
	struct nfe_fill fill[VSW_PROBE_FILLS]; /* these; only what was touched is taken (rule 1) */
};
struct vsw_touched { /* queue published in this turn whose guest may sleep */
	struct nfed_channel *ch;
	struct nfed_queue *q;
	uint32_t old_idx, new_idx;
};

struct vsw_lcore {
	struct vsw *sw;
	unsigned int index, lcore_id;
	rte_spinlock_t own; /* who owns these structures while not running */
	bool running;
	struct vsw_mail *mail; /* atomic mailbox, one at a time */
	uint64_t (*cnt)[NFE_STAT_MAX]; /* by port id: this lcore's share */
	/* By port id: bytes of flooded copies and page faults that its guest may cause; TSC. */
	struct nfed_allowance *flood, *faults;
	struct nfed_allowance *welcomes; /* by port id: that make up for what its last guest overdrew */
	struct nfed_allowance faults_watched; /* that this lcore may take before it probes */
	uint64_t faults_looked, probe_until;  /* TSC */
	uint64_t faults_seen, faults_marked;  /* of this thread, at the last look and mark */
	bool probing; /* faults are asked for after each step */
	int schedstat_fd; /* of this thread */
	uint64_t run_delay_us; /* as the kernel told it at the last look */
	uint64_t cpu_looked, shared_until; /* TSC */
	struct vsw_chan **all;
	unsigned int nb_all, nb_hot; /* channels */
	struct vsw_share *share, **active; /* by port id; those with hot channels */
	unsigned int nb_active;
	unsigned int burst;  /* vsw_conf */
	uint64_t turn_bytes; /* what comes behind so many waits for the next turn */
	int64_t quantum;     /* bytes per unit of weight: burst cells */
	int64_t rounds;      /* quanta that each share is granted in this round */
	int64_t rounds_need; /* least that one needs that sits it out */
	bool uplink_busy;    /* an uplink had frames in this round, or sits it out */
	struct vsw_port **uplinks;
	unsigned int nb_uplinks;
	int epfd, wake_fd;
	uint64_t now, last_look, last_work; /* TSC */
	struct vsw_lcore_counters *counters; /* own_counters, or shared */
	struct vsw_lcore_counters own_counters __rte_cache_aligned;
	/* one turn */
	struct vsw_port *src;
	struct nfed_channel *src_ch; /* NULL: uplink */
	uint64_t cost; /* bytes of the turn's frames, each copy counted */
	unsigned int nb_cells; /* made of an uplink's frames */
	unsigned int nb_frames, nb_segs, nb_nodes, nb_dsts, nb_touched;
	struct vsw_ahead ahead;
	struct vsw_stage *stage; /* by slot */
	struct vsw_dst **dsts;   /* those with staged frames */
	struct vsw_touched touched[VSW_NODES + 1];
	struct vsw_node nodes[VSW_NODES];
	struct vsw_frame frames[VSW_MAX_BURST];
	struct vsw_seg segs[VSW_MAX_BURST * NFE_SEGS_PER_CELL];
	union nfe_msg cells[VSW_MAX_BURST] __rte_cache_aligned;
	struct rte_mbuf *tx[VSW_NODES];
	struct vsw_probe probe;
	uint8_t flows[VSW_MAX_BURST][VSW_FLOW_MAX]; /* headers of frames whose own were too short */
} __rte_cache_aligned;

/* The data path, compiled once per instruction set (vsw_datapath.h). Both return what they moved. */
struct vsw_datapath {
	const char *isa;
	unsigned int (*chan_poll)(struct vsw_lcore *lc, struct vsw_chan *c);
	unsigned int (*uplink_poll)(struct vsw_lcore *lc, struct vsw_port *port);
};
extern const struct vsw_datapath vsw_datapath_generic;
#ifdef VSW_HAVE_AVX2
extern const struct vsw_datapath vsw_datapath_avx2;
#endif
#ifdef VSW_HAVE_AVX512
extern const struct vsw_datapath vsw_datapath_avx512;
#endif

struct vsw {
	struct vsw_conf conf;
	const struct vsw_datapath *datapath; /* the best that this CPU and the EAL allow */
	struct vsw_port **ports; /* by id, no holes */
	unsigned int nb_ports;
	struct vsw_fdb *fdb;
	struct vsw_takers *takers, takers_of[2]; /* that in use, and the spare one */
	struct rte_rcu_qsbr *qsbr;
	struct rte_ring *learn; /* u64: mac | port << 48, from lcores to the control thread */
	uint64_t idle_tsc, look_tsc, quiet_look_tsc, storm_tsc, hold_tsc;
	struct nfed_allowance_limit flood;
	uint64_t fault_look_tsc; /* between two looks at the faults of an lcore */
	struct nfed_allowance_limit faults_watch;
	int64_t guest_faults; /* of a guest at once, and one more per hugepage that it may register */
	uint64_t guest_fault_tsc; /* TSC cycles in which it earns one more */
	struct nfed_allowance_limit welcomes;
	uint64_t cpu_look_tsc; /* between two looks at who had an lcore's CPU */
	uint64_t shared_idle_tsc, uplink_rest_tsc; /* instead of idle_tsc, where it was shared */
	uint64_t shared_hold_tsc; /* for so long */
	unsigned int nb_lcores, next_lcore;
	struct vsw_lcore *lcore[VSW_MAX_LCORES];
	uint8_t *slot_used;
	unsigned int nb_slots;
	uint32_t stop;
	int service_fd;
	vsw_log_fn log, stuck;
	uint64_t complain_us, stuck_us; /* of waiting for a data lcore */
	bool any_learning;
	uint64_t aged_s; /* last look for old addresses: once a second, it walks a large table */
};

static inline uint64_t
vsw_mac_u64(const uint8_t *mac)
{
	uint64_t v = 0;

	memcpy(&v, mac, VSW_MAC_BYTES);
	return v;
}

/* An address in a frame. One load of 8 bytes: 14 are there (rule 5). Putting 6 bytes together costs
 * 15 cycles, because what was stored in parts can't be forwarded to a whole load. */
static inline uint64_t
vsw_mac_in(const uint8_t *hdr)
{
	uint64_t v;

	memcpy(&v, hdr, sizeof(v));
	return v & UINT64_C(0xffffffffffff);
}

static inline bool
vsw_mac_is_group(uint64_t mac)
{
	return mac & 1;
}
#define VSW_MAC_BROADCAST UINT64_C(0xffffffffffff)

static inline bool
vsw_port_has_mac(const struct vsw_port *port, uint64_t mac)
{
	if (likely(mac == port->mac))
		return true;
	if (mac == 0) /* free slots hold it */
		return false;
	for (unsigned int i = 0; i < VSW_MAX_MACS; i++)
		if (__atomic_load_n(&port->macs[i], __ATOMIC_RELAXED) == mac)
			return true;
	return false;
}

static inline void
vsw_count(struct vsw_lcore *lc, const struct vsw_port *port, enum nfe_stat stat, uint64_t n)
{
	lc->cnt[port->id][stat] += n;
}

/* vsw_uplink.c */
int vsw_uplink_start(struct vsw *sw, struct vsw_port *port, const struct vsw_uplink_conf *conf);
void vsw_uplink_stop(struct vsw *sw, struct vsw_port *port);
/* vsw_takers.c */
int vsw_takers_init(struct vsw *sw);
void vsw_takers_fini(struct vsw *sw);
/* The port's link, modes or group addresses changed: lcores know when this returns. */
void vsw_takers_update(struct vsw_port *port);
/* vsw_lcore.c */
int vsw_lcore_init(struct vsw *sw, unsigned int index);
void vsw_lcore_fini(struct vsw *sw, unsigned int index);
bool vsw_lcore_turn(struct vsw_lcore *lc); /* one round over all that is hot; true: had work */
void vsw_lcore_look(struct vsw_lcore *lc, unsigned int timeout_us); /* for kicks and mail */
int vsw_mail_send(struct vsw_lcore *lc, struct vsw_mail *mail);
void vsw_lcore_wake(struct vsw_lcore *lc);
/* vsw_cpu.c */
void vsw_cpu_init(struct vsw *sw);
void vsw_cpu_begin(struct vsw_lcore *lc); /* on its thread, as the next two */
void vsw_cpu_end(struct vsw_lcore *lc);
void vsw_cpu_look(struct vsw_lcore *lc); /* now and then: who had this CPU? */

/* vsw_faults.c */
void vsw_faults_init(struct vsw *sw);
void vsw_faults_look(struct vsw_lcore *lc); /* now and then: is it time to probe? */
void vsw_faults_welcome(struct vsw_lcore *lc, const struct vsw_port *port); /* has a new channel */
/* While lc->probing: faults since the last mark or charge are the guest's behind ch. */
void vsw_faults_mark(struct vsw_lcore *lc);
void vsw_faults_charge(struct vsw_lcore *lc, struct nfed_channel *ch);
/* Touch what all frames of the turn need of their source, and charge it. */
void vsw_faults_source(struct vsw_lcore *lc, struct nfed_channel *ch);
/* The same for a destination, under its lock: first what every delivery needs, then cells of its
 * receive queue before they are written, and buffers: the next n entries of its fill queue, which
 * are there. */
void vsw_faults_sink(struct vsw_lcore *lc, struct nfed_channel *ch);
void vsw_faults_cells(struct vsw_lcore *lc, struct nfed_channel *ch, uint32_t cells);
void vsw_faults_fills(struct vsw_lcore *lc, struct nfed_channel *ch, uint32_t n,
		      struct nfe_fill *fill);
/* vsw.c */
struct vsw_wait { /* of the control thread for a data lcore; zero at its start */
	uint64_t us, complain_us, tsc;
	bool stuck;
};
void vsw_wait_step(struct vsw *sw, struct vsw_wait *wait, unsigned int lcore_id); /* sleeps */
void vsw_synchronize(struct vsw *sw); /* every lcore has left what it read before the call */
void vsw_logf(const struct vsw *sw, const char *fmt, ...) __rte_format_printf(2, 3);
int vsw_slot_alloc(struct vsw *sw);
void vsw_slot_free(struct vsw *sw, unsigned int slot);

#endif /* VSW_INTERNAL_H */
