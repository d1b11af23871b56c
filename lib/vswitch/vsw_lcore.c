/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A data lcore: polls what is hot, sleeps when nothing is. A channel's life on its lcore:
 *
 *            no work for idle_us            armed, still empty
 *     HOT ───────────────────────► (arm) ──────────────────────► IDLE
 *      ▲ ▲                           │ work came meanwhile         │
 *      │ └───────────────────────────┘                             │
 *      └──────────────────────── kick ─────────────────────────────┘
 *
 * Idle channels cost nothing: they are not looked at. Kicks are eventfds in an edge-triggered
 * epoll set, so they are never read, and a busy lcore asks for them every LOOK_US only. A
 * channel that is kicked without having work again and again stays hot for STORM_US: its kicks
 * then mean nothing (rule 10).
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_pause.h>

#include "vsw_internal.h"

#define SLEEP_MAX_US 1000000
#define EPOLL_BATCH 64
#define STORM_KICKS 64
#define MAIL_SLEEP_US 20
#define MAIL_COMPLAIN_US 2000000 /* a data lcore that does not answer for so long is logged */

static void
make_hot(struct vsw_lcore *lc, struct vsw_chan *c, bool kicked)
{
	if (c->hot)
		return;
	c->hot = true;
	c->kicked = kicked;
	c->last_work = lc->now;
	lc->hot[lc->nb_hot++] = c;
}

static void
make_cold(struct vsw_lcore *lc, unsigned int i)
{
	lc->hot[i]->hot = false;
	lc->hot[i] = lc->hot[--lc->nb_hot];
}

/* Counts kicks that brought no work; true: too many, hold the channel hot. */
static bool
is_storm(struct vsw_lcore *lc, struct vsw_chan *c)
{
	if (!c->kicked)
		return false;
	c->kicked = false;
	if (lc->now - c->storm_since > lc->sw->storm_tsc) {
		c->storm_since = lc->now;
		c->spurious = 0;
	}
	if (++c->spurious < STORM_KICKS)
		return false;
	c->spurious = 0;
	lc->info.kick_storms++;
	return true;
}

/* HOT -> IDLE if it has been quiet for long enough. True: it left the hot list. */
static bool
try_idle(struct vsw_lcore *lc, unsigned int i)
{
	struct vsw_chan *c = lc->hot[i];

	if (lc->now - c->last_work < lc->sw->idle_tsc || lc->now < c->hold_until || !c->may_idle)
		return false;
	if (is_storm(lc, c)) {
		c->hold_until = lc->now + lc->sw->storm_tsc;
		return false;
	}
	if (c->ch->fault == 0 && !nfed_sq_arm(&c->ch->sq)) {
		c->last_work = lc->now;
		return false;
	}
	make_cold(lc, i);
	return true;
}

/* Each lcore with channels of the port sees the kick; that of the first one counts it. */
static void
port_kicked(struct vsw_lcore *lc, struct vsw_port *port)
{
	bool first = true;

	for (unsigned int i = 1; i <= NFED_MAX_CHANNELS; i++) {
		struct vsw_chan *c = __atomic_load_n(&port->chan[i], __ATOMIC_ACQUIRE);

		if (c == NULL)
			continue;
		if (c->lcore == lc) {
			vsw_count(lc, port, NFE_STAT_from_kicks, first);
			make_hot(lc, c, true);
		}
		first = false;
	}
}

/* Look for kicks and mail; timeout_us 0: just look. While it waits the lcore holds nothing (RCU
 * offline), so the control thread never waits for a sleeper. */
void
vsw_lcore_look(struct vsw_lcore *lc, unsigned int timeout_us)
{
	struct timespec ts = { .tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000 };
	struct epoll_event ev[EPOLL_BATCH];
	uint64_t junk;
	int n;

	if (timeout_us != 0)
		rte_rcu_qsbr_thread_offline(lc->sw->qsbr, lc->index);
	n = epoll_pwait2(lc->epfd, ev, EPOLL_BATCH, &ts, NULL);
	if (timeout_us != 0)
		rte_rcu_qsbr_thread_online(lc->sw->qsbr, lc->index);
	lc->now = rte_rdtsc();
	lc->last_look = lc->now;
	vsw_faults_look(lc);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr != NULL)
			port_kicked(lc, ev[i].data.ptr);
		else if (read(lc->wake_fd, &junk, sizeof(junk)) > 0)
			lc->info.wakes++;
	}
}

static void
sleep_until_kick(struct vsw_lcore *lc)
{
	lc->info.sleeps++;
	vsw_lcore_look(lc, lc->nb_uplinks != 0 ? lc->sw->conf.uplink_poll_us : SLEEP_MAX_US);
}

static unsigned int
chan_poll(struct vsw_lcore *lc, struct vsw_chan *c)
{
	const struct vsw_datapath *dp = lc->sw->datapath;
	unsigned int n;

	if (likely(!lc->probing))
		return dp->chan_poll(lc, c);
	vsw_faults_mark(lc);
	n = dp->chan_poll(lc, c);
	if (n == 0) /* it saw nothing but this guest's memory */
		vsw_faults_charge(lc, c->ch);
	return n;
}

bool
vsw_lcore_turn(struct vsw_lcore *lc)
{
	const struct vsw_datapath *dp = lc->sw->datapath;
	uint64_t start = lc->now;
	bool work = false;

	for (unsigned int i = 0; i < lc->nb_uplinks; i++)
		work |= dp->uplink_poll(lc, lc->uplinks[i]) != 0;
	for (unsigned int i = 0; i < lc->nb_hot;) {
		struct vsw_chan *c = lc->hot[i];

		if (chan_poll(lc, c) != 0) {
			c->last_work = lc->now;
			c->kicked = false;
			work = true;
		} else if (try_idle(lc, i)) {
			continue;
		}
		i++;
		/* A channel holds nothing between its turns: nobody waits for a whole round. */
		if (lc->running)
			rte_rcu_qsbr_quiescent(lc->sw->qsbr, lc->index);
	}
	lc->now = rte_rdtsc();
	lc->info.loops++;
	if (work)
		lc->info.busy_cycles += lc->now - start;
	else
		lc->info.idle_cycles += lc->now - start;
	return work;
}

static int
add_chan(struct vsw_lcore *lc, struct vsw_chan *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = c->port };

	if (c->port->data_kick_fd >= 0 &&
	    epoll_ctl(lc->epfd, EPOLL_CTL_ADD, c->port->data_kick_fd, &ev) != 0 && errno != EEXIST)
		return -errno;
	lc->all[lc->nb_all++] = c;
	make_hot(lc, c, false);
	return 0;
}

static void
del_chan(struct vsw_lcore *lc, const struct vsw_chan *c)
{
	bool last = true;

	for (unsigned int i = 0; i < lc->nb_hot; i++)
		if (lc->hot[i] == c) {
			make_cold(lc, i);
			break;
		}
	for (unsigned int i = 0; i < lc->nb_all; i++)
		if (lc->all[i] == c)
			lc->all[i--] = lc->all[--lc->nb_all];
		else if (lc->all[i]->port == c->port)
			last = false;
	if (last && c->port->data_kick_fd >= 0)
		epoll_ctl(lc->epfd, EPOLL_CTL_DEL, c->port->data_kick_fd, NULL);
}

static void
mail_handle(struct vsw_lcore *lc, struct vsw_mail *m)
{
	m->rc = 0;
	switch (m->op) {
	case VSW_OP_ADD_CHAN:
		m->rc = add_chan(lc, m->chan);
		break;
	case VSW_OP_DEL_CHAN:
		del_chan(lc, m->chan);
		break;
	case VSW_OP_COUNTERS:
		memcpy(m->copy, &lc->cnt[m->first], m->n * sizeof(m->copy[0]));
		break;
	case VSW_OP_ZERO:
		memset(&lc->cnt[m->first], 0, m->n * sizeof(lc->cnt[0]));
		break;
	}
	lc->info.channels = lc->nb_all;
	__atomic_store_n(&m->done, 1, __ATOMIC_RELEASE);
}

static void
mail_take(struct vsw_lcore *lc)
{
	struct vsw_mail *m = __atomic_exchange_n(&lc->mail, NULL, __ATOMIC_ACQ_REL);

	if (m != NULL)
		mail_handle(lc, m);
}

void
vsw_lcore_wake(struct vsw_lcore *lc)
{
	uint64_t one = 1;

	if (write(lc->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		vsw_logf(lc->sw, "lcore %u: wake-up failed: %s", lc->lcore_id, strerror(errno));
}

/* Control thread. The lcore answers between two turns; one that sleeps is woken. */
int
vsw_mail_send(struct vsw_lcore *lc, struct vsw_mail *mail)
{
	uint64_t complain_us = MAIL_COMPLAIN_US, waited_us = 0;

	mail->done = 0;
	rte_spinlock_lock(&lc->own);
	if (!lc->running) { /* not launched, or returned: its structures are ours */
		mail_handle(lc, mail);
		rte_spinlock_unlock(&lc->own);
		return mail->rc;
	}
	__atomic_store_n(&lc->mail, mail, __ATOMIC_RELEASE);
	rte_spinlock_unlock(&lc->own);
	vsw_lcore_wake(lc);
	while (__atomic_load_n(&mail->done, __ATOMIC_ACQUIRE) == 0) {
		usleep(MAIL_SLEEP_US);
		waited_us += MAIL_SLEEP_US;
		if (waited_us >= complain_us) {
			vsw_logf(lc->sw, "lcore %u: no answer for %lu ms, still waiting", lc->lcore_id,
				 (unsigned long)(waited_us / 1000));
			complain_us *= 2;
		}
	}
	return mail->rc;
}

static void
set_running(struct vsw_lcore *lc, bool running)
{
	rte_spinlock_lock(&lc->own);
	lc->running = running;
	mail_take(lc);
	rte_spinlock_unlock(&lc->own);
}

static struct vsw_lcore *
find_lcore(struct vsw *sw, unsigned int lcore_id)
{
	for (unsigned int i = 0; i < sw->nb_lcores; i++)
		if (sw->lcore[i]->lcore_id == lcore_id)
			return sw->lcore[i];
	return NULL;
}

int
vsw_lcore_main(void *arg)
{
	struct vsw *sw = arg;
	struct vsw_lcore *lc = find_lcore(sw, rte_lcore_id());
	uint64_t last_work;
	bool worked;

	if (lc == NULL)
		return -EINVAL;
	set_running(lc, true);
	rte_rcu_qsbr_thread_online(sw->qsbr, lc->index);
	last_work = lc->now = rte_rdtsc();
	while (__atomic_load_n(&sw->stop, __ATOMIC_ACQUIRE) == 0) {
		rte_rcu_qsbr_quiescent(sw->qsbr, lc->index);
		if (unlikely(__atomic_load_n(&lc->mail, __ATOMIC_RELAXED) != NULL))
			mail_take(lc);
		worked = vsw_lcore_turn(lc);
		if (worked)
			last_work = lc->now;
		else if (lc->nb_hot == 0 && lc->now - last_work > sw->idle_tsc)
			sleep_until_kick(lc);
		else
			rte_pause();
		if (lc->now - lc->last_look > (worked ? sw->look_tsc : sw->quiet_look_tsc))
			vsw_lcore_look(lc, 0);
	}
	rte_rcu_qsbr_thread_offline(sw->qsbr, lc->index);
	set_running(lc, false);
	return 0;
}

int
vsw_lcore_init(struct vsw *sw, unsigned int index)
{
	unsigned int chans = sw->nb_slots;
	struct vsw_lcore *lc = rte_zmalloc(NULL, sizeof(*lc), RTE_CACHE_LINE_SIZE);
	struct epoll_event ev = { .events = EPOLLIN };

	if (lc == NULL)
		return -ENOMEM;
	sw->lcore[index] = lc;
	lc->sw = sw;
	lc->index = index;
	lc->lcore_id = sw->conf.lcores[index];
	lc->info.lcore = lc->lcore_id;
	rte_spinlock_init(&lc->own);
	lc->epfd = epoll_create1(EPOLL_CLOEXEC);
	lc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lc->cnt = rte_zmalloc(NULL, sw->conf.max_ports * sizeof(*lc->cnt), RTE_CACHE_LINE_SIZE);
	lc->flood = rte_zmalloc(NULL, sw->conf.max_ports * sizeof(*lc->flood), 0);
	lc->faults = rte_zmalloc(NULL, sw->conf.max_ports * sizeof(*lc->faults), 0);
	lc->stage = rte_zmalloc(NULL, chans * sizeof(*lc->stage), RTE_CACHE_LINE_SIZE);
	lc->dsts = rte_zmalloc(NULL, VSW_NODES * sizeof(*lc->dsts), RTE_CACHE_LINE_SIZE);
	lc->all = rte_zmalloc(NULL, chans * sizeof(*lc->all), 0);
	lc->hot = rte_zmalloc(NULL, chans * sizeof(*lc->hot), 0);
	lc->uplinks = rte_zmalloc(NULL, sw->conf.max_ports * sizeof(*lc->uplinks), 0);
	if (lc->epfd < 0 || lc->wake_fd < 0 || lc->cnt == NULL || lc->flood == NULL || lc->faults == NULL ||
	    lc->stage == NULL || lc->dsts == NULL || lc->all == NULL || lc->hot == NULL || lc->uplinks == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < sw->conf.max_ports; i++)
		lc->flood[i].bytes = VSW_FLOOD_BURST;
	for (unsigned int i = 0; i < chans; i++)
		lc->stage[i] = (struct vsw_stage){ VSW_NO_NODE, VSW_NO_NODE };
	if (epoll_ctl(lc->epfd, EPOLL_CTL_ADD, lc->wake_fd, &ev) != 0)
		return -errno;
	return rte_rcu_qsbr_thread_register(sw->qsbr, index) == 0 ? 0 : -EINVAL;
}

void
vsw_lcore_fini(struct vsw *sw, unsigned int index)
{
	struct vsw_lcore *lc = sw->lcore[index];

	if (lc == NULL)
		return;
	if (lc->epfd >= 0)
		close(lc->epfd);
	if (lc->wake_fd >= 0)
		close(lc->wake_fd);
	rte_free(lc->uplinks);
	rte_free(lc->hot);
	rte_free(lc->all);
	rte_free(lc->dsts);
	rte_free(lc->stage);
	rte_free(lc->faults);
	rte_free(lc->flood);
	rte_free(lc->cnt);
	rte_free(lc);
	sw->lcore[index] = NULL;
}
