/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Secondary processes: they read statistics, and may receive and send on queues that no other
 * process polls at that time. All else is the primary's.
 *
 * Queues, status blocks, gates and counters lie in memory that EAL shares. Private to a process are
 * the mappings of the doorbell pages and of the memory map, which every process has at the
 * primary's addresses, and the descriptor that wakes the device. They travel by EAL's messages:
 *
 *      secondary                             primary
 *      ATTACH, with a pipe  ───────────►     remembers the process, closes gates for it as well
 *                           ◄───────────     SYNC: addresses, descriptors, is the port started
 *                           ◄───────────     SYNC at start and stop, and before each thaw; it may
 *                                            overtake the one above, so they are numbered
 *      STATS                ───────────►     asks the device for its counters
 *
 * The pipe hangs up when the secondary ends. What it left behind in a burst is put in order then.
 */
#ifndef NFE_MP_H
#define NFE_MP_H

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include <rte_eal.h>

#define NFE_MP_ACTION "net_nfe"
#define NFE_MP_ATTACH_S 5 /* deadline of a secondary, seconds */
#define NFE_MP_STATS_S 3  /* more than a request to a device that just went away */
#define NFE_MP_SYNC_S 1   /* deadline of all secondaries together */
#define NFE_MP_FIRST_OWNER 2u /* of gates; 1 is the primary */
#define NFE_MP_PEERS 62u

enum nfe_mp_type { NFE_MP_ATTACH, NFE_MP_SYNC, NFE_MP_STATS };
enum nfe_mp_fd { NFE_MP_FD_ARENA, NFE_MP_FD_DB, NFE_MP_FD_KICK, NFE_MP_FDS };

struct nfe_mp_param {
	uint8_t type;
	uint8_t started;
	uint16_t port_id;
	int32_t result;	   /* of a reply */
	uint32_t owner;	   /* of gates; in a request 0: the process has none yet */
	int32_t pid;	   /* for messages */
	uint64_t arena, arena_len; /* where the primary has them; 0: not for a secondary */
	uint64_t db, db_len, db_offset; /* 0: it is in a BAR */
	uint64_t seq;	   /* of SYNC: a greater one is a later state; from 1 */
};
static_assert(sizeof(struct nfe_mp_param) <= RTE_MP_MAX_PARAM_LEN, "EAL's limit");

/* Descriptors of a message that came are whose it came to. */
static inline void
nfe_mp_close_fds(const struct rte_mp_msg *msg)
{
	for (int i = 0; i < msg->num_fds; i++)
		close(msg->fds[i]);
}

struct rte_eth_dev;
struct nfe_port;

/* nfe_mp.c, in the primary */
void nfe_mp_serve(struct nfe_port *port); /* from now on secondaries may attach */
void nfe_mp_leave(struct nfe_port *port); /* nobody is served on return */
/* Tell all secondaries where things are now, and if the port is running. Control path or host end's
 * control thread, unlocked. Who does not answer in time does so later. */
void nfe_mp_sync(struct nfe_port *port);
/* Nobody is in there any more, if busy is that of a process that ended. With port->lock. */
struct nfeh_gate;
void nfe_mp_check_gate_locked(struct nfeh_gate *gate);

/* nfe_secondary.c */
int nfe_secondary_init(struct rte_eth_dev *dev);
int nfe_secondary_close(struct rte_eth_dev *dev);
void nfe_secondary_kick(uint16_t port_id, uint16_t channel);
/* The device's counters, if they are to be had. */
void nfe_secondary_refresh(struct rte_eth_dev *dev);

#endif /* NFE_MP_H */
