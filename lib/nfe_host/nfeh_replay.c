/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Restart (specification 8): the device died or failed, and all that the client set up is brought
 * back on the next one that answers. Runs on the control thread.
 *
 *	link down
 *	leave the old device, if it still answers: from here on the indices stand
 *	freeze, ask the client for its indices
 *	until it works or detach:
 *	    connect          nobody there: again after 10 ms
 *	    negotiate        refused: again after 1 s
 *	    regions with the old keys, channels, queues with the client's indices, START
 *	    MAC, RSS, VLANs, receive mode, MTU
 *	UP, thaw, kick the device, wake the client, link up
 *
 * State UP comes before the thaw, under the same lock as the replay: a stop or destroy that waits
 * finds either a device that is gone or one that knows the channel.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "nfeh_internal.h"

static void
disconnect_locked(struct nfeh *h)
{
	h->bus->ops->disconnect(h->bus);
	h->connected = false;
	pthread_cond_broadcast(&h->changed);
}

/* Everything but the connection: from a new device to one like the old. */
static int
replay_locked(struct nfeh *h)
{
	struct nfeh_info info = { 0 };
	int rc = nfeh_boot_locked(h, &info, true);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < h->info.max_regions; i++) {
		if (h->regions[i].key == 0)
			continue;
		rc = nfeh_region_replay_locked(h, &h->regions[i]);
		if (rc < 0)
			return rc;
	}
	for (uint32_t n = 1; n <= h->info.max_channels; n++) {
		if (!h->channels[n].created)
			continue;
		rc = nfeh_channel_replay_locked(h, (uint16_t)n);
		if (rc < 0)
			return rc;
	}
	nfeh_config_replay_locked(h);
	return nfeh_hung_up(h) ? -ERESTART : 0;
}

/* An address where something else answers, as opposed to nobody at all or not yet. */
static bool
is_refusal(int rc)
{
	return rc == -ENODEV || rc == -EPROTO || rc == -ENOTSUP || rc == -ESTALE;
}

/* One attempt. delay_ms: until the next one makes sense. */
static int
attempt_locked(struct nfeh *h, int *last_rc, unsigned int *delay_ms)
{
	int rc = h->bus->ops->connect(h->bus, NFEH_CONNECT_MS);

	*delay_ms = NFEH_RETRY_MS;
	if (rc < 0) {
		if (is_refusal(rc))
			*delay_ms = NFEH_REFUSED_MS;
		if (rc != *last_rc) /* 100 times a second: say it once */
			nfeh_log(h, 2, "waiting for %s: %s%s%s", h->address, strerror(-rc),
				 h->bus->why[0] != '\0' ? ": " : "", h->bus->why);
		*last_rc = rc;
		return rc;
	}
	h->connected = true;
	*last_rc = 0;
	rc = replay_locked(h);
	if (rc < 0) {
		if (!nfeh_hung_up(h)) { /* else it only died again */
			h->counters.refused++;
			*delay_ms = NFEH_REFUSED_MS;
			nfeh_log(h, 1, "replay on %s failed, again in %u ms: %s", h->address,
				 *delay_ms, strerror(-rc));
		}
		nfeh_reset_device_locked(h);
		disconnect_locked(h);
		return rc;
	}
	h->counters.replays++;
	__atomic_add_fetch(&h->generation, 1, __ATOMIC_RELEASE);
	nfeh_set_state_locked(h, NFEH_STATE_UP, "replayed");
	return 0;
}

/* What is replayed may be what makes the function fail. */
static void
count_short_life_locked(struct nfeh *h)
{
	if (h->failed && nfeh_now_ms() - h->up_since_ms < NFEH_SHORT_LIFE_MS)
		h->short_lives++;
	else
		h->short_lives = 0;
}

/* Leaves the device; returns when the first attempt may be made. */
static uint64_t
leave_device(struct nfeh *h)
{
	uint64_t next_ms;

	pthread_mutex_lock(&h->lock);
	next_ms = h->failed ? h->up_since_ms + NFEH_REFUSED_MS : 0; /* no reset storm */
	count_short_life_locked(h);
	nfeh_reset_device_locked(h);
	disconnect_locked(h);
	pthread_mutex_unlock(&h->lock);
	return next_ms;
}

static void
tell_refused(struct nfeh *h, int rc)
{
	if (h->ops.refused != NULL)
		h->ops.refused(h->ctx, rc);
}

/* 0: UP; -ECANCELED: detach began. */
static int
attempts(struct nfeh *h, uint64_t next_ms)
{
	unsigned int delay_ms = NFEH_RETRY_MS;
	int last_rc = 0, rc;

	if (h->short_lives == NFEH_SHORT_LIVES)
		tell_refused(h, -EIO);
	for (;;) {
		if (nfeh_sleep(h, next_ms) < 0)
			return -ECANCELED;
		pthread_mutex_lock(&h->lock);
		rc = h->state == NFEH_STATE_DOWN ? attempt_locked(h, &last_rc, &delay_ms) :
						   -ECANCELED;
		pthread_mutex_unlock(&h->lock);
		if (rc == 0 || rc == -ECANCELED)
			return rc;
		if (delay_ms == NFEH_REFUSED_MS && rc != -ETIMEDOUT) /* else it may be slow */
			tell_refused(h, rc);
		next_ms = nfeh_now_ms() + delay_ms;
	}
}

int
nfeh_recover(struct nfeh *h)
{
	uint64_t next_ms;

	nfeh_tell_link(h, false);
	next_ms = leave_device(h);
	if (h->ops.freeze != NULL)
		h->ops.freeze(h->ctx);
	pthread_mutex_lock(&h->lock);
	nfeh_channels_note_locked(h);
	pthread_mutex_unlock(&h->lock);
	if (attempts(h, next_ms) < 0)
		return -ECANCELED; /* still frozen: there is nothing to use */
	if (h->ops.thaw != NULL)
		h->ops.thaw(h->ctx);
	pthread_mutex_lock(&h->lock);
	if (h->state == NFEH_STATE_UP)
		nfeh_channels_ring_locked(h);
	pthread_mutex_unlock(&h->lock);
	return 0;
}
