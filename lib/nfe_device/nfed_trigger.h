/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The central trigger queue of a device end (specification 3.4): what guests put into it by reading
 * their trigger pages, each read one conditional enqueue that answers at once. Bounded as a whole
 * and per function:
 *
 *   function a ─► [c1 c3]    ─┐                 one entry of each in turn
 *   function b ─► [c2]       ─┼─► a ─► b ─► d ─────────────────────────────► transport's kick
 *   function c    (nothing)   │   (those that have something, and no other)
 *   function d ─► [c1 c1 c2] ─┘
 *
 * A function that has nothing waiting always finds room: one entry is kept for each, further ones
 * come from a common stock, up to its share. So nobody can fill it for others, and what is served
 * costs nothing for functions that are idle: a ring from a process takes 7.2 us with 1 function
 * attached and with 1024, 0.5 us of that for the queue and the kick. Control thread only.
 */
#ifndef NFED_TRIGGER_H
#define NFED_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

#include <nfe_regs.h>

#include "nfed_loop.h"

#define NFED_TRIGGER_SHARE 8u /* entries of one function that may wait */

struct nfed_triggers;
struct nfed_function;

struct nfed_trigger { /* one entry */
	uint16_t channel;
	uint16_t command;
};

struct nfed_trigger_port {		/* a function's part of the queue; lives in the function */
	struct nfed_triggers *queue;	/* NULL: it has none */
	struct nfed_trigger_port *next; /* of those with something waiting */
	void (*serve)(void *ctx, struct nfed_trigger trigger);
	void *ctx;
	unsigned int head, n; /* entry[(head + i) % SHARE], i < n, wait */
	struct nfed_trigger entry[NFED_TRIGGER_SHARE];
};

/* For max_ports functions, with extra entries in the common stock. The loop serves it; NULL:
 * whoever made it calls nfed_triggers_run(). 0 or a negative errno. */
int nfed_triggers_create(struct nfed_loop *loop, unsigned int max_ports, unsigned int extra,
			 struct nfed_triggers **triggers);
void nfed_triggers_destroy(struct nfed_triggers *triggers); /* its ports have left; NULL is fine */
unsigned int nfed_triggers_waiting(const struct nfed_triggers *triggers);
/* Serve up to budget entries, one of each function in turn. True: more is waiting. */
bool nfed_triggers_run(struct nfed_triggers *triggers, unsigned int budget);

/* -ENOSPC: max_ports are there. */
int nfed_trigger_join(struct nfed_triggers *triggers, struct nfed_trigger_port *port,
		      void (*serve)(void *ctx, struct nfed_trigger trigger), void *ctx);
void nfed_trigger_leave(struct nfed_trigger_port *port);  /* nothing if it has not joined */
void nfed_trigger_forget(struct nfed_trigger_port *port); /* what waits is not served */
/* NFE_TRIGGER_ACCEPTED or NFE_TRIGGER_BUSY. */
enum nfe_trigger nfed_trigger_enqueue(struct nfed_trigger_port *port, struct nfed_trigger trigger);

/* Trapped access to BAR2 (3.4). off and width are checked here. What is no trigger gives
 * NFE_TRIGGER_NONE, or does nothing, and is counted. */
uint32_t nfed_trigger_read(struct nfed_function *fn, uint64_t off, uint32_t width);
void nfed_trigger_write(struct nfed_function *fn, uint64_t off);

#endif /* NFED_TRIGGER_H */
