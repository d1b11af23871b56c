/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Trigger pages and the queue behind them, see nfed_trigger.h. Called by the transport for each
 * access that it trapped, and by the loop; all on the control thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nfed_internal.h"

#define BUDGET 32u /* entries of one turn of the loop: others first */

struct nfed_triggers {
	struct nfed_loop *loop;
	int event_fd; /* readable while something waits; ours alone. -1 without a loop */
	unsigned int max_ports, nb_ports;
	unsigned int max_extra;
	unsigned int nb_waiting; /* entries */
	unsigned int nb_active;	 /* ports with entries: nb_waiting - nb_active are extra */
	struct nfed_trigger_port *first, *last; /* active, next to be served first */
};

static void
on_ready(void *arg, uint32_t events)
{
	struct nfed_triggers *t = arg;
	uint64_t junk;

	(void)events;
	/* Still readable: it is called again, after the others. */
	if (!nfed_triggers_run(t, BUDGET) && read(t->event_fd, &junk, sizeof(junk)) < 0)
		return;
}

int
nfed_triggers_create(struct nfed_loop *loop, unsigned int max_ports, unsigned int extra,
		     struct nfed_triggers **out)
{
	struct nfed_triggers *t = calloc(1, sizeof(*t));
	int rc = 0;

	if (t == NULL)
		return -ENOMEM;
	t->loop = loop;
	t->event_fd = -1;
	t->max_ports = max_ports;
	t->max_extra = extra;
	if (loop != NULL) {
		t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rc = t->event_fd < 0 ? -errno
				     : nfed_loop_add(loop, t->event_fd, EPOLLIN, on_ready, t);
	}
	if (rc < 0) {
		if (t->event_fd >= 0)
			close(t->event_fd);
		free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void
nfed_triggers_destroy(struct nfed_triggers *t)
{
	if (t == NULL)
		return;
	if (t->event_fd >= 0) {
		nfed_loop_del(t->loop, t->event_fd);
		close(t->event_fd);
	}
	free(t);
}

unsigned int
nfed_triggers_waiting(const struct nfed_triggers *t)
{
	return t->nb_waiting;
}

int
nfed_trigger_join(struct nfed_triggers *t, struct nfed_trigger_port *port,
		  void (*serve)(void *ctx, struct nfed_trigger trigger), void *ctx)
{
	if (t->nb_ports == t->max_ports)
		return -ENOSPC;
	t->nb_ports++;
	*port = (struct nfed_trigger_port){ .queue = t, .serve = serve, .ctx = ctx };
	return 0;
}

static void
append(struct nfed_triggers *t, struct nfed_trigger_port *port)
{
	port->next = NULL;
	if (t->first == NULL)
		t->first = port;
	else
		t->last->next = port;
	t->last = port;
}

static void
take_first(struct nfed_triggers *t)
{
	t->first = t->first->next;
	if (t->first == NULL)
		t->last = NULL;
}

void
nfed_trigger_forget(struct nfed_trigger_port *port)
{
	struct nfed_triggers *t = port->queue;
	struct nfed_trigger_port *p, *rest;

	if (t == NULL || port->n == 0)
		return;
	rest = t->first;
	t->first = t->last = NULL;
	while ((p = rest) != NULL) {
		rest = p->next;
		if (p != port)
			append(t, p);
	}
	t->nb_waiting -= port->n;
	t->nb_active--;
	port->n = 0;
}

void
nfed_trigger_leave(struct nfed_trigger_port *port)
{
	if (port->queue == NULL)
		return;
	nfed_trigger_forget(port);
	port->queue->nb_ports--;
	port->queue = NULL;
}

static void
wake_loop(const struct nfed_triggers *t)
{
	const uint64_t one = 1;

	/* Ours alone and never full. */
	if (t->event_fd >= 0 && write(t->event_fd, &one, sizeof(one)) < 0)
		return;
}

enum nfe_trigger
nfed_trigger_enqueue(struct nfed_trigger_port *port, struct nfed_trigger trigger)
{
	struct nfed_triggers *t = port->queue;

	if (port->n == NFED_TRIGGER_SHARE ||
	    (port->n > 0 && t->nb_waiting - t->nb_active == t->max_extra))
		return NFE_TRIGGER_BUSY;
	if (port->n == 0) {
		append(t, port);
		t->nb_active++;
	}
	port->entry[(port->head + port->n) % NFED_TRIGGER_SHARE] = trigger;
	port->n++;
	if (t->nb_waiting++ == 0)
		wake_loop(t);
	return NFE_TRIGGER_ACCEPTED;
}

bool
nfed_triggers_run(struct nfed_triggers *t, unsigned int budget)
{
	for (; budget > 0 && t->nb_waiting > 0; budget--) {
		struct nfed_trigger_port *port = t->first;
		struct nfed_trigger trigger = port->entry[port->head];

		take_first(t);
		port->head = (port->head + 1) % NFED_TRIGGER_SHARE;
		t->nb_waiting--;
		if (--port->n > 0)
			append(t, port);
		else
			t->nb_active--;
		port->serve(port->ctx, trigger);
	}
	return t->nb_waiting > 0;
}

/* Would the device look at the channel if it were told to? */
static bool
takes_triggers(const struct nfed_function *fn, uint64_t channel)
{
	if ((fn->accepted & NFE_F_TRIGGER) == 0 || fn->dma_off ||
	    channel > fn->conf.limits.max_channels)
		return false;
	if (channel == 0)
		return fn->state == NFE_STATE_READY || fn->state == NFE_STATE_QUIESCED;
	return fn->state == NFE_STATE_READY && fn->channel[channel].state == NFE_CHAN_RUNNING;
}

uint32_t
nfed_trigger_read(struct nfed_function *fn, uint64_t off, uint32_t width)
{
	uint64_t channel = off >> NFE_TRIG_STRIDE_LOG2;
	uint64_t at = off & ((1u << NFE_TRIG_STRIDE_LOG2) - 1);
	enum nfe_trigger answer;

	/* Of the 512 commands only one means something in this ABI. */
	if (width != 4 || at != NFE_TRIG_AT(NFE_TRIG_LOOK) || !takes_triggers(fn, channel)) {
		fn->counters.bad_trigger++;
		return NFE_TRIGGER_NONE;
	}
	answer = nfed_trigger_enqueue(&fn->trigger, (struct nfed_trigger){
							    .channel = (uint16_t)channel,
							    .command = NFE_TRIG_LOOK,
						    });
	if (answer == NFE_TRIGGER_ACCEPTED)
		fn->counters.triggers++;
	else
		fn->counters.trigger_busy++;
	return (uint32_t)answer;
}

void
nfed_trigger_write(struct nfed_function *fn, uint64_t off)
{
	const struct nfed_function_conf *conf = &fn->conf;
	uint64_t channel = off >> NFE_TRIG_STRIDE_LOG2;

	if ((off & ((1u << NFE_TRIG_STRIDE_LOG2) - 1)) != NFE_TRIG_KICK ||
	    channel > conf->limits.max_channels || conf->transport->kick == NULL) {
		fn->counters.bad_trigger++;
		return;
	}
	conf->transport->kick(conf->transport_ctx, (unsigned int)channel);
}
