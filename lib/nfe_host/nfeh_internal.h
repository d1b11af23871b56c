/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the files of the host end share; clients include nfeh.h instead.
 *
 *	nfeh.c          attach, detach, states
 *	nfeh_thread.c   the control thread
 *	nfeh_boot.c     registers: negotiation, boot block, GO
 *	nfeh_request.c  control queues: requests, responses, events
 *	nfeh_region.c, nfeh_channel.c, nfeh_config.c, nfeh_rx.c  what the client asked for, remembered
 *	nfeh_replay.c   all of it again on a new device (specification 8)
 *
 * "_locked": the caller holds h->lock. A request keeps the lock until it is answered, so there is
 * one consumer of the control receive queue at any time.
 */
#ifndef NFEH_INTERNAL_H
#define NFEH_INTERNAL_H

#include <pthread.h>

#include "nfeh.h"

#define NFEH_CONNECT_MS 2000   /* connect again, and each transport request */
#define NFEH_ANSWER_MS 2000    /* RESET or GO until the state is reached, request until response */
#define NFEH_LINK_WAIT_MS 2000 /* a call while the device is away */
#define NFEH_RETRY_MS 10       /* between connects while nobody listens */
#define NFEH_REFUSED_MS 1000   /* between replays that fail, and after a FAILED function */
#define NFEH_SHORT_LIFE_MS 5000 /* a function that fails so soon after a replay, */
#define NFEH_SHORT_LIVES 3      /* so often in a row, will fail again */
#define NFEH_TICK_MS 1000      /* the control thread looks at the status block */
#define NFEH_LOOK_MS 50        /* the same where interrupts or hang-ups are not told */

#define NFEH_CTL_LOG2 6u
#define NFEH_CTL_CELLS (1u << NFEH_CTL_LOG2)
#define NFEH_PENDING 32u /* less than cells: room for events */
#define NFEH_MAX_CHANNELS 1024u
#define NFEH_MAX_REGIONS (1u << NFE_KEY_INDEX_BITS)
#define NFEH_MAX_MACS 256u
#define NFEH_ROLES 3u /* SQ, RQ, FQ */

enum nfeh_state {
	NFEH_STATE_NEW,    /* attaching */
	NFEH_STATE_UP,     /* requests are answered */
	NFEH_STATE_DOWN,   /* the control thread brings it back */
	NFEH_STATE_CLOSED, /* detaching */
	NFEH_STATES
};

/* Control queues, in memory from the bus. Shared with the device. */
struct nfeh_ctl {
	union nfe_msg sq[NFEH_CTL_CELLS];
	union nfe_msg rq[NFEH_CTL_CELLS];
	struct nfe_status status;
	uint8_t pad[NFE_PAGE_SIZE - NFE_STATUS_SIZE];
};
static_assert(sizeof(struct nfeh_ctl) % NFE_PAGE_SIZE == 0, "mapped whole");
static_assert(offsetof(struct nfeh_ctl, status) % NFE_STATUS_ALIGN == 0, "3.5");

enum nfeh_pending_state {
	NFEH_FREE = 0,
	NFEH_PENDING_YET,
	NFEH_SUCCESS,
	NFEH_FAILURE, /* rsp.status says why */
};
struct nfeh_pending {
	enum nfeh_pending_state state;
	uint16_t id;
	struct nfe_rsp rsp;
};

struct nfeh_region {
	uint32_t key; /* 0: free */
	uint32_t tag; /* of the last key at this index; changes at each use */
	uint32_t access;
	uint64_t iova, len;
	uint8_t *addr;
	struct nfeh_piece *pieces;
	unsigned int nb_pieces;
};

struct nfeh_channel {
	bool created, started;
	uint16_t vector;
	uint32_t status_key;
	uint64_t status_offset;
	bool set[NFEH_ROLES];
	struct nfeh_queue_conf queue[NFEH_ROLES]; /* by role - 1 */
	uint32_t prod[NFEH_ROLES], cons[NFEH_ROLES]; /* to go on with, noted for a replay */
};

struct nfeh_config { /* what the client configured, for the replay */
	bool mac_set, rx_mode_set, mtu_set;
	uint8_t mac[6];
	uint32_t rx_mode, mtu;
	unsigned int nb_macs;
	uint8_t macs[NFEH_MAX_MACS][6];
	struct nfeh_rss rss; /* zero: off, as after RESET */
	uint64_t vlans[NFE_VLAN_WORDS];
};

struct nfeh {
	char name[32];
	char *address;
	uint64_t features, required; /* as wanted */
	uint32_t first_index;
	struct nfeh_client_ops ops;
	void *ctx;
	void (*log)(void *ctx, int level, const char *line);

	struct nfe_bus *bus;
	struct nfeh_info info; /* constant after attach */
	pthread_t thread;
	int wake_fd; /* the control thread has to look */
	int stop_fd; /* readable for ever once detach began: ends every wait */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* state, connected */
	enum nfeh_state state;
	bool connected;     /* the bus is attached to a device */
	bool failed;        /* DOWN because the function failed, not by a hang-up */
	unsigned int short_lives; /* failures one soon after the other; control thread */
	bool device_link;   /* as the device last said */
	bool link;          /* what the client was told; atomic */
	uint32_t generation; /* replays; atomic */
	uint32_t device_generation;
	uint64_t up_since_ms;
	uint64_t looked_ms; /* at GENERATION, on a bus that tells nothing */

	struct nfeh_ctl *ctl; /* = ctl_mem.addr */
	struct nfe_bus_mem ctl_mem;
	struct nfe_bus_mem client_mem; /* len 0: none */
	uint32_t sq_prod, rq_cons;
	uint16_t next_id;
	struct nfeh_pending pending[NFEH_PENDING];
	struct nfeh_counters counters;

	struct nfeh_region *regions; /* info.max_regions */
	struct nfeh_channel *channels; /* info.max_channels + 1, by number */
	struct nfeh_config config;
};

static inline unsigned int
nfeh_answer_ms(const struct nfeh *h)
{
	return h->bus->ops->answer_ms != 0 ? h->bus->ops->answer_ms : NFEH_ANSWER_MS;
}

/* nfeh.c */
void nfeh_log(struct nfeh *h, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint64_t nfeh_now_ms(void);
/* 0: it is until_ms now; -ECANCELED: detach began. */
int nfeh_sleep(struct nfeh *h, uint64_t until_ms);
void nfeh_wake_control(struct nfeh *h);
/* The one owner of state transitions; why is for the log. */
void nfeh_set_state_locked(struct nfeh *h, enum nfeh_state to, const char *why);
/* UP -> DOWN, if it is UP. */
void nfeh_hangup_locked(struct nfeh *h);
void nfeh_fail_locked(struct nfeh *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool nfeh_hung_up(struct nfeh *h);
void nfeh_tell_link(struct nfeh *h, bool up);

/*
 * Run op with the lock while the function is UP; again if the device died under it and came back.
 * down_too: also while the device is away for certain (nothing of ours is in use there); op looks
 * at h->state.
 */
typedef int (*nfeh_op)(struct nfeh *h, void *arg);
int nfeh_run(struct nfeh *h, nfeh_op op, void *arg, bool down_too);

/* nfeh_thread.c: h->thread; joined when the state is CLOSED */
int nfeh_thread_start(struct nfeh *h);

/* nfeh_boot.c */
int nfeh_boot_locked(struct nfeh *h, struct nfeh_info *info, bool again);
void nfeh_reset_device_locked(struct nfeh *h);
const char *nfeh_reason_name(uint32_t reason);

/* nfeh_request.c */
int nfeh_ctl_create(struct nfeh *h);
void nfeh_ctl_destroy(struct nfeh *h);
void nfeh_ctl_restart_locked(struct nfeh *h); /* empty queues at first_index, doorbells too */
void nfeh_drain_locked(struct nfeh *h);
int nfeh_request_locked(struct nfeh *h, const struct nfe_req *req, struct nfe_rsp *rsp,
			unsigned int timeout_ms);
/* A request of our own: op goes in, a time-out makes the function fail, because the two ends no
 * longer agree on what exists. rsp may be NULL. */
int nfeh_call_locked(struct nfeh *h, struct nfe_req *req, enum nfe_op op, struct nfe_rsp *rsp);

/* nfeh_region.c, nfeh_channel.c, nfeh_config.c, nfeh_rx.c */
struct nfeh_region *nfeh_region_find_locked(struct nfeh *h, uint32_t key);
int nfeh_region_replay_locked(struct nfeh *h, struct nfeh_region *r);
void nfeh_regions_free(struct nfeh *h);
bool nfeh_channel_uses_locked(const struct nfeh *h, uint32_t key);
/* Ask the client where its queues stand, while no device is attached. */
void nfeh_channels_note_locked(struct nfeh *h);
int nfeh_channel_replay_locked(struct nfeh *h, uint16_t channel);
void nfeh_channels_ring_locked(struct nfeh *h);
void nfeh_config_replay_locked(struct nfeh *h);
void nfeh_rx_replay_locked(struct nfeh *h);

/* nfeh_replay.c: from DOWN to UP, or -ECANCELED: detach began. Control thread, without the lock. */
int nfeh_recover(struct nfeh *h);

#endif /* NFEH_INTERNAL_H */
