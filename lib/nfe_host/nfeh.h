/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Host end of one function: what net_nfe and lib/vif share. Boots it, keeps control requests as
 * Pending until Success or Failure, registers memory, sets up channels, and brings all of it
 * back when the device died and a new one answers (specification 8). Needs no EAL.
 *
 * A control thread per function ("nfe-ctl") watches for hang-up and events. Public calls may come
 * from any thread; they lock. Data threads touch only the queues' memory, the doorbell pages and
 * their gates.
 *
 *              attach            hang-up            connected, replayed
 *    (none) ──────────► UP ───────────────► DOWN ─────────────────────► UP
 *                        │ function FAILED    ▲ │
 *                        └────────────────────┘ └── detach ──► (none)
 *
 * A function that FAILED (the device says we broke a rule) is reset and replayed too, but at most
 * once a second: a driver bug must not become a reset storm.
 */
#ifndef NFEH_H
#define NFEH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nfe_ctrl.h>
#include <nfe_msg.h>
#include <nfe_queue.h>
#include <nfe_regs.h>

#include "nfe_bus.h"
#include "nfeh_gate.h"

struct nfeh;

struct nfeh_info { /* registers, read at attach; a replay onto a smaller device fails */
	uint8_t mac[6];
	uint64_t features; /* accepted */
	uint32_t abi, max_mtu, speed_mbps, max_channels, max_regions, max_segs, max_frame;
	uint32_t queue_log2_min, queue_log2_max;
	uint32_t inline_to_device, inline_to_host; /* bytes */
	uint32_t vectors;
};

/* Called on the control thread, except where said. None is required. */
struct nfeh_client_ops {
	/* The link changed. Also told once at the end of attach (then on the attaching thread,
	 * which has no handle yet). May call nfeh functions later on. */
	void (*link)(void *ctx, bool up);
	/* Before a replay, the old device being gone: keep data threads out of all queues until
	 * thaw(). Returns when they are out, or nfeh_wait_detach() says true. A detach while the
	 * device is away leaves them frozen. */
	void (*freeze)(void *ctx);
	/* Indices to go on with, 8.2; asked once per restart for each queue that is set, after
	 * freeze() and before a new device sees any memory. In: the first_index. The lock is
	 * held: call no nfeh function but nfeh_doorbells(). */
	void (*indices)(void *ctx, uint16_t channel, enum nfe_role role, uint32_t *prod,
			uint32_t *cons);
	void (*thaw)(void *ctx);
	/* It does not come back by itself: a device answers and cannot take over, or the function
	 * fails over and over (-EIO). -ESTALE: memory of this library cannot be shared any more, and
	 * without freeze() not be shared anew; only detach and attach help. -ENODEV: there is no
	 * NFE, or not now: a function that is just being reset does not answer either. Told at
	 * each attempt; there is one every second. */
	void (*refused)(void *ctx, int error);
};

struct nfeh_conf {
	const char *name;    /* for messages: "net_nfe0", "vif app" */
	const char *address; /* "vfio-user:PATH", "xen:N" */
	uint64_t features;   /* wanted; those that are offered get accepted */
	uint64_t required;   /* -ENOTSUP when one of these is not offered */
	uint32_t first_index; /* of the control queues; tests start near the wrap */
	size_t mem_bytes;     /* of nfeh_mem(); 0: none */
	const struct nfeh_client_ops *ops;
	void *ctx;
	/* One line of text for the log; level: 0 error, 1 warning, 2 info. May be NULL: stderr. */
	void (*log)(void *ctx, int level, const char *line);
};

/* Connect, check MAGIC and ABI, negotiate, boot. Errors name address, value and limit in a log
 * line: -ENOENT/-ECONNREFUSED (nobody listens), -EACCES, -EBUSY (in use), -ENODEV, -EPROTO (ABI),
 * -ENOTSUP (feature), -ETIMEDOUT, -ENOMEM. */
int nfeh_attach(const struct nfeh_conf *conf, struct nfeh **h);
void nfeh_detach(struct nfeh *h);
const struct nfeh_info *nfeh_info(const struct nfeh *h);
bool nfeh_link(const struct nfeh *h);
/*
 * Memory of conf.mem_bytes that every bus can give its device, zeroed, until detach. Memory from
 * elsewhere suits vfio-user, if it has a file descriptor; over Xen there is only this.
 */
const struct nfe_bus_mem *nfeh_mem(const struct nfeh *h);
uint32_t nfeh_generation(const struct nfeh *h); /* counts replays of this process, from 0 */

/*
 * Memory. addr .. addr + len is page aligned and lies in fd from fd_offset; iova is what the bus
 * understands (a process on vfio-user: the address itself). access: NFE_ACCESS_*. Gives the key.
 * Remembered and replayed with the same key, by a duplicate of fd: the caller may close its own.
 */
int nfeh_region_add(struct nfeh *h, void *addr, uint64_t iova, uint64_t len, int fd,
		    uint64_t fd_offset, uint32_t access, uint32_t *key);
/* The same for memory of several files side by side (each hugepage may be a file of its own). */
struct nfeh_piece {
	int fd;
	uint64_t fd_offset;
	uint64_t len; /* bytes, multiple of the page size; the sum is the region's length */
};
int nfeh_region_add_pieces(struct nfeh *h, void *addr, uint64_t iova,
			   const struct nfeh_piece *pieces, unsigned int nb_pieces,
			   uint32_t access, uint32_t *key);
/* -EBUSY: queues live in it. -ETIMEDOUT: it is not replayed any more, but a device that does not
 * answer may use it until it is left, which is begun. -ENOLINK: it may be replayed, try again. */
int nfeh_region_del(struct nfeh *h, uint32_t key);

struct nfeh_queue_conf { /* SET_QUEUE without what nfeh knows itself */
	enum nfe_role role;
	uint8_t flags; /* NFE_QUEUE_F_* */
	uint32_t size_log2, capacity, buf_size;
	uint32_t key;
	uint64_t entries, host_idx, dev_idx; /* offsets in the region of key */
	uint32_t first_index; /* both indices at the first start */
	bool resume; /* it ran on a channel that is gone: goes on with prod and cons (8.2) */
	uint32_t prod, cons;
};

/*
 * Channels: create, set the queues, start. nfeh_queue_set() writes the doorbells of its queue, so
 * what is posted between it and nfeh_channel_start() counts.
 *
 * While the device is away, what takes something away (destroy, stop, region_del) succeeds at
 * once; all else waits up to 2000 ms for the device, then fails with -ENOLINK.
 */
int nfeh_channel_create(struct nfeh *h, uint16_t channel, uint16_t vector, uint32_t status_key,
			uint64_t status_offset);
int nfeh_channel_destroy(struct nfeh *h, uint16_t channel);
int nfeh_queue_set(struct nfeh *h, uint16_t channel, const struct nfeh_queue_conf *conf);
int nfeh_channel_start(struct nfeh *h, uint16_t channel);
int nfeh_channel_stop(struct nfeh *h, uint16_t channel);
/* Doorbell page of a channel; the address stays the same over replays. */
uint8_t *nfeh_doorbells(const struct nfeh *h, uint16_t channel);
/* For poll(2) alone, -1: none. Clear it after it fired, then look for work; any thread. */
int nfeh_irq_fd(const struct nfeh *h, uint16_t vector);
void nfeh_irq_clear(struct nfeh *h, uint16_t vector);
void nfeh_irq_raise(struct nfeh *h, uint16_t vector); /* as if the device had */
/* Wait in freeze(): true: detach began, so go; false: timeout_ms are over. */
bool nfeh_wait_detach(struct nfeh *h, unsigned int timeout_ms);
/* Wake the device (after P1, P2 and a crossed event index). Any thread, never blocks long. On a socket
 * the first kick of a thread makes its AIO context (vfio_user_signal.h), some 20 us; where the system
 * has none left, a hostile device may make later kicks of that thread block. */
void nfeh_kick(struct nfeh *h, uint16_t channel);

/* As the bus's share(), with descriptors that are the caller's to close. Until the device dies: ask
 * again in thaw(). */
int nfeh_share(struct nfeh *h, struct nfe_bus_share *share);

/* Configuration; remembered and replayed. */
int nfeh_mac(struct nfeh *h, const uint8_t mac[6], enum nfe_mac_action action);
int nfeh_rx_mode(struct nfeh *h, uint32_t mode);
int nfeh_mtu(struct nfeh *h, uint32_t mtu);
/* 7.11, with NFE_F_RSS: all that shall be; what the device knows already is not sent again. */
struct nfeh_rss {
	uint32_t types, flags; /* NFE_RSS_* */
	uint8_t key[NFE_RSS_KEY_LEN];
	uint16_t reta[NFE_RSS_RETA_SIZE]; /* channels; 0: the device chooses */
};
int nfeh_rss(struct nfeh *h, const struct nfeh_rss *rss);
/* 7.12, with NFE_F_VLAN_FILTER: frames of this VLAN, or no longer. */
int nfeh_vlan(struct nfeh *h, uint16_t vlan, bool on);
int nfeh_stats(struct nfeh *h, uint64_t value[NFE_STAT_MAX]);
/* Registers of page 0 from offset 0 in steps of 8 bytes (3.1). Not remembered. */
int nfeh_registers(struct nfeh *h, uint32_t *value, unsigned int nb);

/* Any request by hand (tests). Waits for the answer until timeout_ms; returns its status,
 * -ETIMEDOUT, or -ERESTART when the device died meanwhile. */
int nfeh_request(struct nfeh *h, const struct nfe_req *req, struct nfe_rsp *rsp,
		 unsigned int timeout_ms);

/* What the device got wrong (rule 16) and how the function fared. */
#define NFEH_COUNTERS(X) \
	X(requests, "control requests posted") \
	X(timeouts, "requests without an answer in time") \
	X(restarts, "requests lost with the device") \
	X(bad_type, "control message that is neither response nor event, or with flags") \
	X(bad_id, "response to no pending request, late ones included") \
	X(bad_status, "response with a status that is no errno") \
	X(bad_length, "counts or lengths in a response out of range") \
	X(bad_event, "event unknown, or with values out of range") \
	X(bad_index, "control queue index out of bounds") \
	X(hangups, "times the device went away") \
	X(failures, "times the function failed") \
	X(replays, "times all was brought back") \
	X(refused, "devices that answered but could not take over")

struct nfeh_counters {
#define NFEH_COUNTER_FIELD(name, help) uint64_t name;
	NFEH_COUNTERS(NFEH_COUNTER_FIELD)
#undef NFEH_COUNTER_FIELD
};
void nfeh_counters(struct nfeh *h, struct nfeh_counters *copy);

#endif /* NFEH_H */
