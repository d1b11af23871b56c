/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Events of the control thread that belong to no VIF: signals, the housekeeping timer, and the
 * switch's own event. The timer is slow while nobody is attached and nothing is learned, so that an
 * idle host stays idle.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "vifsw.h"

#define BUSY_PERIOD_MS 10
#define IDLE_PERIOD_MS 100

uint64_t
vifsw_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
own_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* Before any thread exists, so that all inherit it: signals come through the descriptor only. */
void
vifsw_control_block_signals(void)
{
	sigset_t set;

	own_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void
on_signal(void *arg, uint32_t events)
{
	struct signalfd_siginfo info;
	struct vifsw *s = arg;

	(void)events;
	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		vifsw_log("SIGHUP ignored: the configuration is read at start only");
		return;
	}
	vifsw_log("ending: %s from pid %u", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM",
		  info.ssi_pid);
	s->end = true;
}

static void
on_timer(void *arg, uint32_t events)
{
	struct vifsw *s = arg;
	uint64_t expirations;

	(void)events;
	if (read(s->timer_fd, &expirations, sizeof(expirations)) != (ssize_t)sizeof(expirations))
		return;
	vsw_service(s->sw);
	vifsw_xen_tick(s);
}

static void
on_service(void *arg, uint32_t events)
{
	struct vifsw *s = arg;

	(void)events;
	vsw_service(s->sw); /* empties the eventfd too */
}

static int
set_timer(struct vifsw *s, bool busy)
{
	long period_ms = busy ? BUSY_PERIOD_MS : IDLE_PERIOD_MS;
	struct timespec period = { .tv_nsec = period_ms * 1000000 };
	struct itimerspec t = { .it_interval = period, .it_value = period };

	s->busy_timer = busy;
	return timerfd_settime(s->timer_fd, 0, &t, NULL) == 0 ? 0 : -errno;
}

void
vifsw_control_pace(struct vifsw *s)
{
	bool busy = s->nb_attached > 0 || s->nb_learning > 0;

	if (s->timer_fd >= 0 && busy != s->busy_timer && set_timer(s, busy) != 0)
		vifsw_log_error("housekeeping timer: %s", strerror(errno));
}

static int
watch(struct vifsw *s)
{
	int rc = nfed_loop_add(s->loop, s->signal_fd, EPOLLIN, on_signal, s);

	if (rc == 0)
		rc = nfed_loop_add(s->loop, s->timer_fd, EPOLLIN, on_timer, s);
	if (rc == 0)
		rc = nfed_loop_add(s->loop, vsw_service_fd(s->sw), EPOLLIN, on_service, s);
	return rc;
}

int
vifsw_control_start(struct vifsw *s)
{
	sigset_t set;
	int rc;

	own_signals(&set);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->signal_fd < 0 || s->timer_fd < 0)
		rc = -errno;
	else
		rc = set_timer(s, s->nb_learning > 0);
	if (rc == 0)
		rc = watch(s);
	if (rc != 0) {
		vifsw_log_error("control thread cannot start: %s", strerror(-rc));
		vifsw_control_stop(s);
	}
	return rc;
}

void
vifsw_control_stop(struct vifsw *s)
{
	nfed_loop_del(s->loop, s->signal_fd);
	nfed_loop_del(s->loop, s->timer_fd);
	nfed_loop_del(s->loop, vsw_service_fd(s->sw));
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	s->signal_fd = s->timer_fd = -1;
}
