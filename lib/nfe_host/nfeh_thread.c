/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The control thread of a function: looks for responses, events and the device's death, tells of
 * the link, and brings the function back (nfeh_replay.c). One per struct nfeh, from attach to
 * detach.
 */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "nfeh_internal.h"

/*
 * On a bus that tells nothing: was the function reset behind our back (FLR), or taken away? Its
 * last word stands in the status block, which costs a load. A register costs a trap: seldom, for a
 * function that had no chance to speak.
 */
static void
look_for_reset_locked(struct nfeh *h)
{
	uint32_t state = nfe_idx_read(&h->ctl->status.state), generation = 0;
	uint64_t now = nfeh_now_ms();
	int rc;

	if (h->bus->ops->hup_fd(h->bus) >= 0)
		return;
	if (state != NFE_CHAN_RUNNING) {
		nfeh_fail_locked(h, "control channel in state %u: the function was reset", state);
		return;
	}
	if (now - h->looked_ms < NFEH_TICK_MS)
		return;
	h->looked_ms = now;
	rc = h->bus->ops->reg_read(h->bus, NFE_REG_GENERATION, &generation);
	if (rc < 0)
		nfeh_hangup_locked(h);
	else if (generation != h->device_generation)
		nfeh_fail_locked(h, "device generation %u, expected %u: it was reset", generation,
				 h->device_generation);
}

/* Looks for responses, events and the device's death. */
static void
service_locked(struct nfeh *h)
{
	struct nfe_bus *bus = h->bus;
	uint32_t generation;

	if (h->state != NFEH_STATE_UP)
		return;
	nfeh_drain_locked(h);
	if (bus->ops->deferred != NULL)
		bus->ops->deferred(bus);
	if (nfeh_hung_up(h)) {
		nfeh_hangup_locked(h);
		return;
	}
	/* What an event would have told, had there been room for it. */
	generation = nfe_idx_read(&h->ctl->status.generation);
	if (generation != 0 && generation != h->device_generation)
		nfeh_fail_locked(h, "device generation %u, expected %u: it was reset", generation,
				 h->device_generation);
	else if (nfe_idx_read(&h->ctl->status.state) == NFE_CHAN_ERROR)
		nfeh_fail_locked(h, "control channel failed: %s",
				 nfeh_reason_name(nfe_idx_read(&h->ctl->status.reason)));
	else
		look_for_reset_locked(h);
}

static void
wait_for_work(struct nfeh *h)
{
	struct nfe_bus *bus = h->bus;
	struct pollfd pfd[5] = { /* poll() skips those that are negative */
		{ .fd = h->stop_fd, .events = POLLIN },
		{ .fd = h->wake_fd, .events = POLLIN },
		{ .fd = bus->ops->irq_fd(bus, 0), .events = POLLIN },
		{ .fd = bus->ops->hup_fd(bus), .events = POLLRDHUP },
		{ .fd = bus->ops->deferred_fd != NULL ? bus->ops->deferred_fd(bus) : -1,
		  .events = POLLIN },
	};
	uint64_t count;
	ssize_t n;

	poll(pfd, 5, pfd[2].fd >= 0 && pfd[3].fd >= 0 ? NFEH_TICK_MS : NFEH_LOOK_MS);
	n = read(h->wake_fd, &count, sizeof(count)); /* non-blocking; the state is what counts */
	(void)n;
}

static void *
control_thread(void *arg)
{
	struct nfeh *h = arg;
	enum nfeh_state state;
	bool link;

	for (;;) {
		pthread_mutex_lock(&h->lock);
		service_locked(h);
		state = h->state;
		link = state == NFEH_STATE_UP && h->device_link;
		pthread_mutex_unlock(&h->lock);
		if (state == NFEH_STATE_CLOSED)
			return NULL;
		nfeh_tell_link(h, link);
		if (state == NFEH_STATE_UP)
			wait_for_work(h);
		else if (nfeh_recover(h) < 0)
			return NULL;
	}
}

int
nfeh_thread_start(struct nfeh *h)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the application's */
	rc = pthread_create(&h->thread, NULL, control_thread, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return -rc;
	pthread_setname_np(h->thread, "nfe-ctl");
	return 0;
}
