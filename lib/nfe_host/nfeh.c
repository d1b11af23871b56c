/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Attach, detach, and the states of a function as the host sees them. The struct nfeh and all it
 * points to belong to this library; clients hold the handle.
 *
 * Public calls run on the caller's thread with the lock; the control thread (nfeh_thread.c) takes
 * it to look for events and for the replay. link, freeze and thaw are told without the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "nfeh_internal.h"

static const char *const state_names[NFEH_STATES] = { "attaching", "up", "down", "closed" };

/* Allowed transitions, from -> to. */
static const bool edges[NFEH_STATES][NFEH_STATES] = {
	[NFEH_STATE_NEW] = { [NFEH_STATE_UP] = true, [NFEH_STATE_CLOSED] = true },
	[NFEH_STATE_UP] = { [NFEH_STATE_DOWN] = true, [NFEH_STATE_CLOSED] = true },
	[NFEH_STATE_DOWN] = { [NFEH_STATE_UP] = true, [NFEH_STATE_CLOSED] = true },
};

void
nfeh_log(struct nfeh *h, int level, const char *fmt, ...)
{
	char line[320];
	va_list ap;
	int n;

	n = snprintf(line, sizeof(line), "%s: ", h->name);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (h->log != NULL)
		h->log(h->ctx, level, line);
	else
		fprintf(stderr, "%s\n", line);
}

uint64_t
nfeh_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

int
nfeh_sleep(struct nfeh *h, uint64_t until_ms)
{
	struct pollfd pfd = { .fd = h->stop_fd, .events = POLLIN };
	uint64_t now = nfeh_now_ms();
	int timeout = until_ms > now ? (int)(until_ms - now) : 0;

	return poll(&pfd, 1, timeout) > 0 ? -ECANCELED : 0;
}

static void
set_eventfd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one)); /* EAGAIN: it is set already */

	(void)n;
}

void
nfeh_wake_control(struct nfeh *h)
{
	set_eventfd(h->wake_fd);
}

void
nfeh_set_state_locked(struct nfeh *h, enum nfeh_state to, const char *why)
{
	enum nfeh_state from = h->state;

	assert(edges[from][to]);
	h->state = to;
	if (to == NFEH_STATE_UP)
		h->up_since_ms = nfeh_now_ms();
	if (to == NFEH_STATE_DOWN)
		nfeh_wake_control(h);
	pthread_cond_broadcast(&h->changed);
	nfeh_log(h, to == NFEH_STATE_DOWN ? 1 : 2, "%s -> %s%s%s", state_names[from],
		 state_names[to], why[0] != '\0' ? ": " : "", why);
}

void
nfeh_hangup_locked(struct nfeh *h)
{
	if (h->state != NFEH_STATE_UP)
		return;
	h->counters.hangups++;
	h->failed = false;
	nfeh_set_state_locked(h, NFEH_STATE_DOWN, "the device hung up");
}

void
nfeh_fail_locked(struct nfeh *h, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	if (h->state != NFEH_STATE_UP)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	h->counters.failures++;
	h->failed = true;
	nfeh_set_state_locked(h, NFEH_STATE_DOWN, why);
}

bool
nfeh_hung_up(struct nfeh *h)
{
	struct pollfd pfd = { .fd = h->bus->ops->hup_fd(h->bus), .events = POLLRDHUP };

	return pfd.fd >= 0 && poll(&pfd, 1, 0) > 0;
}

void
nfeh_tell_link(struct nfeh *h, bool up)
{
	if (__atomic_exchange_n(&h->link, up, __ATOMIC_ACQ_REL) == up)
		return;
	if (h->ops.link != NULL)
		h->ops.link(h->ctx, up);
}

/* Takes the lock when the state allows an operation; -ENOLINK after the deadline. */
static int
enter(struct nfeh *h, const struct timespec *deadline, bool down_too)
{
	if (pthread_mutex_clocklock(&h->lock, CLOCK_MONOTONIC, deadline) != 0)
		return -ENOLINK;
	while (h->state != NFEH_STATE_UP) {
		if (down_too && h->state == NFEH_STATE_DOWN && !h->connected)
			return 0;
		if (h->state == NFEH_STATE_CLOSED ||
		    pthread_cond_clockwait(&h->changed, &h->lock, CLOCK_MONOTONIC, deadline) != 0) {
			pthread_mutex_unlock(&h->lock);
			return -ENOLINK;
		}
	}
	return 0;
}

int
nfeh_run(struct nfeh *h, nfeh_op op, void *arg, bool down_too)
{
	struct timespec deadline;
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += NFEH_LINK_WAIT_MS / 1000;
	do {
		rc = enter(h, &deadline, down_too);
		if (rc < 0)
			return rc;
		rc = op(h, arg);
		pthread_mutex_unlock(&h->lock);
	} while (rc == -ERESTART);
	return rc;
}

static void
free_handle(struct nfeh *h)
{
	if (h->wake_fd >= 0)
		close(h->wake_fd);
	if (h->stop_fd >= 0)
		close(h->stop_fd);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h->address);
	free(h);
}

static struct nfeh *
alloc_handle(const struct nfeh_conf *conf)
{
	struct nfeh *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	snprintf(h->name, sizeof(h->name), "%s", conf->name != NULL ? conf->name : "nfe");
	h->features = conf->features | conf->required;
	h->required = conf->required;
	h->first_index = conf->first_index;
	if (conf->ops != NULL)
		h->ops = *conf->ops;
	h->ctx = conf->ctx;
	h->log = conf->log;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	h->address = strdup(conf->address);
	h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->address == NULL || h->wake_fd < 0 || h->stop_fd < 0) {
		free_handle(h);
		return NULL;
	}
	return h;
}

/* Connected bus -> booted function with tables of the size that the device allows. */
static int
boot_first_locked(struct nfeh *h)
{
	int rc = nfeh_boot_locked(h, &h->info, false);

	if (rc < 0)
		return rc;
	h->regions = calloc(h->info.max_regions, sizeof(*h->regions));
	h->channels = calloc(h->info.max_channels + 1, sizeof(*h->channels));
	if (h->regions == NULL || h->channels == NULL) {
		free(h->regions);
		free(h->channels);
		nfeh_reset_device_locked(h);
		return -ENOMEM;
	}
	return 0;
}

static int
connect_first(struct nfeh *h)
{
	int rc = h->bus->ops->connect(h->bus, nfeh_answer_ms(h));

	if (rc < 0) {
		nfeh_log(h, 0, "attach to %s: %s%s%s", h->address, strerror(-rc),
			 h->bus->why[0] != '\0' ? ": " : "", h->bus->why);
		return rc;
	}
	h->connected = true;
	return 0;
}

/* Everything up to a function that answers and a control thread that watches it. */
static int
bring_up(struct nfeh *h)
{
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = connect_first(h);
	if (rc < 0)
		goto unlock;
	rc = boot_first_locked(h);
	if (rc < 0)
		goto disconnect;
	nfeh_set_state_locked(h, NFEH_STATE_UP, h->address);
	h->link = h->device_link;
	if (h->ops.link != NULL)
		h->ops.link(h->ctx, h->link);
	rc = nfeh_thread_start(h); /* it waits for the lock */
	if (rc == 0)
		goto unlock;
	nfeh_reset_device_locked(h);
	free(h->regions);
	free(h->channels);
disconnect:
	h->bus->ops->disconnect(h->bus);
unlock:
	pthread_mutex_unlock(&h->lock);
	return rc;
}

static void
free_memory(struct nfeh *h)
{
	if (h->client_mem.len != 0)
		nfe_bus_mem_free(h->bus, &h->client_mem);
	nfeh_ctl_destroy(h);
}

/* Control queues and what the client wants. */
static int
alloc_memory(struct nfeh *h, size_t client_bytes)
{
	size_t len = (client_bytes + NFE_PAGE_SIZE - 1) / NFE_PAGE_SIZE * NFE_PAGE_SIZE;
	int rc = nfeh_ctl_create(h);

	if (rc < 0) {
		nfeh_log(h, 0, "attach to %s: control queues of %zu bytes: %s%s%s", h->address,
			 sizeof(struct nfeh_ctl), strerror(-rc),
			 h->bus->why[0] != '\0' ? ": " : "", h->bus->why);
		return rc;
	}
	if (len == 0)
		return 0;
	rc = nfe_bus_mem_alloc(h->bus, len, &h->client_mem);
	if (rc == 0)
		return 0;
	nfeh_log(h, 0, "attach to %s: memory of %zu bytes: %s%s%s", h->address, len, strerror(-rc),
		 h->bus->why[0] != '\0' ? ": " : "", h->bus->why);
	h->client_mem.len = 0;
	nfeh_ctl_destroy(h);
	return rc;
}

int
nfeh_attach(const struct nfeh_conf *conf, struct nfeh **out)
{
	struct nfeh *h = alloc_handle(conf);
	int rc;

	if (h == NULL)
		return -ENOMEM;
	rc = nfe_bus_create(h->address, &h->bus);
	if (rc < 0) {
		nfeh_log(h, 0, "attach to %s: %s: expected xen:N, or vfio-user:PATH, PATH up to 107 "
			 "bytes", h->address, strerror(-rc));
		goto free_h;
	}
	h->bus->quiet = h->ops.freeze != NULL;
	rc = alloc_memory(h, conf->mem_bytes);
	if (rc < 0)
		goto destroy_bus;
	*out = h; /* before the control thread can call the client */
	rc = bring_up(h);
	if (rc == 0)
		return 0;
	*out = NULL;
	free_memory(h);
destroy_bus:
	h->bus->ops->destroy(h->bus);
free_h:
	free_handle(h);
	return rc;
}

void
nfeh_detach(struct nfeh *h)
{
	if (h == NULL)
		return;
	set_eventfd(h->stop_fd); /* ends a replay that runs, before we wait for the lock */
	pthread_mutex_lock(&h->lock);
	if (h->state == NFEH_STATE_UP)
		nfeh_reset_device_locked(h); /* answered only when it uses our memory no more */
	nfeh_set_state_locked(h, NFEH_STATE_CLOSED, "detached");
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	if (h->connected)
		h->bus->ops->disconnect(h->bus);
	nfeh_regions_free(h);
	free(h->channels);
	free_memory(h);
	h->bus->ops->destroy(h->bus);
	free_handle(h);
}

const struct nfeh_info *
nfeh_info(const struct nfeh *h)
{
	return &h->info;
}

const struct nfe_bus_mem *
nfeh_mem(const struct nfeh *h)
{
	return h->client_mem.len != 0 ? &h->client_mem : NULL;
}

bool
nfeh_link(const struct nfeh *h)
{
	return __atomic_load_n(&h->link, __ATOMIC_ACQUIRE);
}

uint32_t
nfeh_generation(const struct nfeh *h)
{
	return __atomic_load_n(&h->generation, __ATOMIC_ACQUIRE);
}

uint8_t *
nfeh_doorbells(const struct nfeh *h, uint16_t channel)
{
	return h->bus->db + (size_t)channel * h->bus->db_stride;
}

int
nfeh_irq_fd(const struct nfeh *h, uint16_t vector)
{
	return h->bus->ops->irq_fd(h->bus, vector);
}

void
nfeh_irq_clear(struct nfeh *h, uint16_t vector)
{
	nfe_bus_irq_clear(h->bus, vector);
}

void
nfeh_irq_raise(struct nfeh *h, uint16_t vector)
{
	nfe_bus_irq_raise(h->bus, vector);
}

bool
nfeh_wait_detach(struct nfeh *h, unsigned int timeout_ms)
{
	return nfeh_sleep(h, nfeh_now_ms() + timeout_ms) < 0;
}

void
nfeh_kick(struct nfeh *h, uint16_t channel)
{
	h->bus->ops->kick(h->bus, channel);
}

static int
share_locked(struct nfeh *h, struct nfe_bus_share *share)
{
	int rc = h->bus->ops->share == NULL ? -ENOTSUP : h->bus->ops->share(h->bus, share);

	if (rc < 0)
		return rc;
	share->db_fd = fcntl(share->db_fd, F_DUPFD_CLOEXEC, 0);
	share->kick_fd = fcntl(share->kick_fd, F_DUPFD_CLOEXEC, 0);
	if (share->db_fd >= 0 && share->kick_fd >= 0)
		return 0;
	if (share->db_fd >= 0)
		close(share->db_fd);
	if (share->kick_fd >= 0)
		close(share->kick_fd);
	return -EMFILE;
}

int
nfeh_share(struct nfeh *h, struct nfe_bus_share *share)
{
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = share_locked(h, share);
	pthread_mutex_unlock(&h->lock);
	return rc;
}

void
nfeh_counters(struct nfeh *h, struct nfeh_counters *copy)
{
	pthread_mutex_lock(&h->lock);
	*copy = h->counters;
	pthread_mutex_unlock(&h->lock);
}
