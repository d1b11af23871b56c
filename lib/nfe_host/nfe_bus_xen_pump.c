/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The Xen bus' own thread, "nfe-xen". It turns what Xen has into what a bus gives: a notification
 * into the eventfds of all vectors that somebody waits on (there is one port, and a notification
 * means "look at all queues"), and the back end's death into a hang-up.
 *
 * Two things tell of that death: the back end's state in xenstore, if it ends properly or another
 * one takes over, and the byte "alive" of the index, which its kernel clears when it is killed.
 * The hang-up is a socket pair, because poll() must see it without anybody reading it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "nfe_bus_xen_priv.h"

uint64_t
xb_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static void
set_eventfd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one)); /* EAGAIN: it is set already */

	(void)n;
}

static void
hang_up_locked(struct xen_bus *xb)
{
	if (xb->hup_peer >= 0)
		shutdown(xb->hup_peer, SHUT_RDWR);
	xb->changes++;
	pthread_cond_broadcast(&xb->changed);
}

void
xb_hang_up(struct xen_bus *xb)
{
	pthread_mutex_lock(&xb->lock);
	hang_up_locked(xb);
	pthread_mutex_unlock(&xb->lock);
}

void
xb_expect(struct xen_bus *xb, uint32_t states, bool up)
{
	pthread_mutex_lock(&xb->lock);
	xb->expected_states = states;
	xb->up = up;
	pthread_mutex_unlock(&xb->lock);
}

int
xb_hup_open(struct xen_bus *xb)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return -errno;
	pthread_mutex_lock(&xb->lock);
	xb->hup_fd = fd[0];
	xb->hup_peer = fd[1];
	pthread_mutex_unlock(&xb->lock);
	return 0;
}

void
xb_hup_close(struct xen_bus *xb)
{
	pthread_mutex_lock(&xb->lock);
	if (xb->hup_fd >= 0) {
		close(xb->hup_fd);
		close(xb->hup_peer);
	}
	xb->hup_fd = xb->hup_peer = -1;
	pthread_mutex_unlock(&xb->lock);
}

/* Made when first asked for: a vector that nobody waits on costs nothing. */
int
xb_irq_fd(struct nfe_bus *bus, unsigned int vector)
{
	struct xen_bus *xb = xb_of(bus);
	int fd;

	if (vector >= bus->nb_vectors)
		return -1;
	pthread_mutex_lock(&xb->lock);
	if (xb->irq_fd[vector] < 0)
		xb->irq_fd[vector] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = xb->irq_fd[vector];
	pthread_mutex_unlock(&xb->lock);
	return fd;
}

static void
on_event(struct xen_bus *xb)
{
	const struct xenio_ops *ops = xb->x->ops;
	int port = ops->evt_pending(xb->evt);

	if (port < 0)
		return;
	ops->evt_unmask(xb->evt, port); /* before they look: what comes after it notifies again */
	pthread_mutex_lock(&xb->lock);
	if (xb->up && nfe_xen_alive(xb->index) == 0)
		hang_up_locked(xb);
	for (unsigned int i = 0; i < xb->bus.nb_vectors; i++)
		if (xb->irq_fd[i] >= 0)
			set_eventfd(xb->irq_fd[i]);
	pthread_mutex_unlock(&xb->lock);
}

static void
on_watch(struct xen_bus *xb)
{
	char path[XENIO_PATH_MAX], token[16];
	uint32_t state;

	if (xb->x->ops->watch_next(xb->x, path, sizeof(path), token, sizeof(token)) <= 0)
		return;
	state = xb_backend_state(xb);
	pthread_mutex_lock(&xb->lock);
	if ((xb->expected_states & (1u << state)) == 0)
		hang_up_locked(xb);
	xb->changes++;
	pthread_cond_broadcast(&xb->changed);
	pthread_mutex_unlock(&xb->lock);
}

static void *
pump_thread(void *arg)
{
	struct xen_bus *xb = arg;
	struct pollfd pfd[3] = {
		{ .fd = xb->stop_fd, .events = POLLIN },
		{ .fd = xb->x->ops->evt_fd(xb->evt), .events = POLLIN },
		{ .fd = xb->x->ops->watch_fd(xb->x), .events = POLLIN },
	};

	for (;;) {
		if (poll(pfd, 3, -1) < 0)
			continue; /* signals are blocked: out of memory in the kernel */
		if (pfd[0].revents != 0)
			return NULL;
		if (pfd[1].revents != 0)
			on_event(xb);
		if (pfd[2].revents != 0)
			on_watch(xb);
	}
}

int
xb_pump_start(struct xen_bus *xb)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the application's */
	rc = pthread_create(&xb->pump, NULL, pump_thread, xb);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return -rc;
	pthread_setname_np(xb->pump, "nfe-xen");
	xb->pumping = true;
	return 0;
}

void
xb_pump_stop(struct xen_bus *xb)
{
	uint64_t count;
	ssize_t n;

	if (!xb->pumping)
		return;
	set_eventfd(xb->stop_fd);
	pthread_join(xb->pump, NULL);
	n = read(xb->stop_fd, &count, sizeof(count)); /* another one may be started */
	(void)n;
	xb->pumping = false;
}
