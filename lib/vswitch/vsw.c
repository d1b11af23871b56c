/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The switch as a whole: creation, housekeeping, end. Control thread only.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cpuflags.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_vect.h>

#include "vsw_internal.h"

#define LEARN_RING 4096
#define LEARN_PER_SERVICE 512 /* bounded work */
#define LOOK_US 50            /* a busy lcore asks for kicks so often */
/* One that had no work for so long asks as often: a ping-pong of two guests that fall asleep in turn took
 * 100 us a round when both waited for LOOK_US (test-bench --mode pingpong: 1.4 us with this). Since it
 * counts from the last work, a ping-pong of two that are awake is not held up (p99 1240 ns, now 930). */
#define QUIET_LOOK_US 2
#define STORM_US 10000
#define CHANS_PER_PORT 4      /* default; the ceiling is 65535 */
#define WAIT_SLEEP_US 20
#define WAIT_STEP_MAX_US 100000 /* that a step counts: the whole process may have been stopped */
#define COMPLAIN_US 2000000     /* of waiting for a data lcore: logged, again after twice as long */
#define STUCK_US 30000000
#define LOG_BURST 24          /* lines of a port at once, then one a second */
#define LOG_RESERVE 8         /* of them are kept for failures */
#define FLOOD_MBPS 1000

void
vsw_logf(const struct vsw *sw, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (sw->log == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	sw->log(line);
}

void
vsw_port_logf(struct vsw_port *port, bool failure, const char *fmt, ...)
{
	struct nfed_allowance_limit limit = { LOG_BURST, LOG_BURST * rte_get_tsc_hz() };
	int64_t left = nfed_allowance_count(&port->log_lines, &limit, rte_rdtsc());
	char line[256], more[48] = "";
	va_list ap;

	if (left <= (failure ? 0 : LOG_RESERVE)) {
		port->log_suppressed++;
		return;
	}
	port->log_lines.left--;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (port->log_suppressed != 0)
		snprintf(more, sizeof(more), " (%u lines suppressed)", port->log_suppressed);
	port->log_suppressed = 0;
	vsw_logf(port->sw, "vif %s: %s%s", port->name, line, more);
}

/* Sleeps while it waits: on a shared CPU the lcores must get on. */
void
vsw_wait_step(struct vsw *sw, struct vsw_wait *w, unsigned int lcore_id)
{
	uint64_t now = rte_rdtsc();
	char line[96];

	if (w->tsc != 0)
		w->us += RTE_MIN((now - w->tsc) / (rte_get_tsc_hz() / 1000000), WAIT_STEP_MAX_US);
	w->tsc = now;
	if (w->us >= RTE_MAX(w->complain_us, sw->complain_us)) {
		w->complain_us = 2 * w->us;
		vsw_logf(sw, "lcore %u: no answer for %" PRIu64 " ms, still waiting", lcore_id,
			 w->us / 1000);
	}
	if (w->us >= sw->stuck_us && !w->stuck && sw->stuck != NULL) {
		w->stuck = true;
		snprintf(line, sizeof(line), "lcore %u: no answer for %" PRIu64 " ms, it is dead",
			 lcore_id, w->us / 1000);
		sw->stuck(line);
	}
	usleep(WAIT_SLEEP_US);
}

/* Who has not passed a quiet point since the token was given out? */
static unsigned int
late_lcore(const struct vsw *sw, uint64_t token)
{
	unsigned int i = 0;

	for (; i < sw->nb_lcores - 1; i++) {
		uint64_t seen = __atomic_load_n(&sw->qsbr->qsbr_cnt[i].cnt, __ATOMIC_ACQUIRE);

		if (seen != 0 && seen < token) /* 0: offline */
			break;
	}
	return sw->lcore[i]->lcore_id;
}

void
vsw_synchronize(struct vsw *sw)
{
	uint64_t token = rte_rcu_qsbr_start(sw->qsbr);
	struct vsw_wait wait = { 0 };

	while (rte_rcu_qsbr_check(sw->qsbr, token, false) == 0)
		vsw_wait_step(sw, &wait, late_lcore(sw, token));
}

int
vsw_slot_alloc(struct vsw *sw)
{
	for (unsigned int i = 0; i < sw->nb_slots; i++)
		if (!sw->slot_used[i]) {
			sw->slot_used[i] = 1;
			return (int)i;
		}
	return -ENOSPC;
}

void
vsw_slot_free(struct vsw *sw, unsigned int slot)
{
	sw->slot_used[slot] = 0;
}

static void
set_defaults(struct vsw_conf *c)
{
	c->max_ports = c->max_ports ? c->max_ports : 1100;
	c->max_macs = c->max_macs ? c->max_macs : 65536;
	c->idle_us = c->idle_us ? c->idle_us : 200;
	c->shared_idle_us = c->shared_idle_us ? c->shared_idle_us : 5;
	c->uplink_poll_us = c->uplink_poll_us ? c->uplink_poll_us : 100;
	c->burst = c->burst ? c->burst : VSW_BURST;
	c->age_s = c->age_s ? c->age_s : 300;
	c->nb_mbufs = c->nb_mbufs ? c->nb_mbufs : 4096;
	c->max_channels = c->max_channels ? c->max_channels : c->max_ports * CHANS_PER_PORT;
	c->flood_mbps = c->flood_mbps ? c->flood_mbps : FLOOD_MBPS;
}

#if defined(VSW_HAVE_AVX2) || defined(VSW_HAVE_AVX512)
static bool
cpu_has(const enum rte_cpu_flag_t *flags, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (rte_cpu_get_flag_enabled(flags[i]) <= 0)
			return false;
	return true;
}
#endif

/* EAL's --force-max-simd-bitwidth is the operator's word. The flags are those of meson.build. */
static const struct vsw_datapath *
best_datapath(void)
{
#ifdef VSW_HAVE_AVX512
	static const enum rte_cpu_flag_t avx512[] = { RTE_CPUFLAG_AVX512F, RTE_CPUFLAG_AVX512BW,
						      RTE_CPUFLAG_AVX512VL, RTE_CPUFLAG_BMI1,
						      RTE_CPUFLAG_BMI2 };

	if (rte_vect_get_max_simd_bitwidth() >= RTE_VECT_SIMD_512 &&
	    cpu_has(avx512, RTE_DIM(avx512)))
		return &vsw_datapath_avx512;
#endif
#ifdef VSW_HAVE_AVX2
	static const enum rte_cpu_flag_t avx2[] = { RTE_CPUFLAG_AVX2, RTE_CPUFLAG_BMI1,
						    RTE_CPUFLAG_BMI2 };

	if (rte_vect_get_max_simd_bitwidth() >= RTE_VECT_SIMD_256 && cpu_has(avx2, RTE_DIM(avx2)))
		return &vsw_datapath_avx2;
#endif
	return &vsw_datapath_generic;
}

static int
create_shared(struct vsw *sw)
{
	size_t qsbr_size = rte_rcu_qsbr_get_memsize(VSW_MAX_LCORES);
	uint64_t hz = rte_get_tsc_hz();

	sw->idle_tsc = hz / 1000000 * sw->conf.idle_us;
	sw->look_tsc = hz / 1000000 * LOOK_US;
	sw->quiet_look_tsc = hz / 1000000 * QUIET_LOOK_US;
	/* A kick without work counts after idle_us. Storm: the next one comes within as much time. */
	sw->storm_tsc = hz / 1000000 *
			RTE_MAX((uint64_t)STORM_US, VSW_STORM_KICKS * 2ull * sw->conf.idle_us);
	sw->hold_tsc = hz / 1000000 * STORM_US;
	sw->flood = (struct nfed_allowance_limit){
		VSW_FLOOD_BURST, hz * 8 / 1000000 * VSW_FLOOD_BURST / sw->conf.flood_mbps * sw->nb_lcores,
	};
	sw->complain_us = COMPLAIN_US;
	sw->stuck_us = STUCK_US;
	vsw_faults_init(sw);
	vsw_cpu_init(sw);
	sw->nb_slots = RTE_MIN(sw->conf.max_channels, (unsigned int)UINT16_MAX);
	sw->slot_used = calloc(sw->nb_slots, 1);
	sw->ports = calloc(sw->conf.max_ports, sizeof(*sw->ports));
	sw->qsbr = rte_zmalloc(NULL, qsbr_size, RTE_CACHE_LINE_SIZE);
	sw->service_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sw->learn = rte_malloc(NULL, rte_ring_get_memsize_elem(sizeof(uint64_t), LEARN_RING),
			       RTE_CACHE_LINE_SIZE);
	if (sw->slot_used == NULL || sw->ports == NULL || sw->qsbr == NULL || sw->service_fd < 0 ||
	    sw->learn == NULL || rte_ring_init(sw->learn, "vsw_learn", LEARN_RING, RING_F_SC_DEQ) != 0)
		return -ENOMEM;
	if (rte_rcu_qsbr_init(sw->qsbr, VSW_MAX_LCORES) != 0)
		return -EINVAL;
	if (vsw_takers_init(sw) != 0)
		return -ENOMEM;
	sw->fdb = vsw_fdb_create(sw->conf.max_macs);
	return sw->fdb == NULL ? -ENOMEM : 0;
}

int
vsw_create(const struct vsw_conf *conf, struct vsw **out)
{
	struct vsw *sw;
	int rc;

	if (conf->nb_lcores == 0 || conf->nb_lcores > VSW_MAX_LCORES)
		return -EINVAL;
	sw = calloc(1, sizeof(*sw));
	if (sw == NULL)
		return -ENOMEM;
	sw->conf = *conf;
	sw->nb_lcores = conf->nb_lcores;
	sw->datapath = best_datapath();
	set_defaults(&sw->conf);
	rc = create_shared(sw);
	for (unsigned int i = 0; i < sw->nb_lcores && rc == 0; i++)
		rc = vsw_lcore_init(sw, i);
	if (rc != 0) {
		vsw_destroy(sw);
		return rc;
	}
	*out = sw;
	return 0;
}

void
vsw_destroy(struct vsw *sw)
{
	if (sw == NULL)
		return;
	for (unsigned int i = 0; sw->ports != NULL && i < sw->nb_ports; i++) {
		if (sw->ports[i]->is_uplink)
			vsw_uplink_stop(sw, sw->ports[i]);
		rte_free(sw->ports[i]);
	}
	for (unsigned int i = 0; i < sw->nb_lcores; i++)
		vsw_lcore_fini(sw, i);
	vsw_fdb_destroy(sw->fdb);
	vsw_takers_fini(sw);
	rte_free(sw->learn);
	rte_free(sw->qsbr);
	if (sw->service_fd > 0)
		close(sw->service_fd);
	free(sw->ports);
	free(sw->slot_used);
	free(sw);
}

void
vsw_stop(struct vsw *sw)
{
	__atomic_store_n(&sw->stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < sw->nb_lcores; i++)
		vsw_lcore_wake(sw->lcore[i]);
}

void
vsw_set_log(struct vsw *sw, vsw_log_fn fn)
{
	sw->log = fn;
}

void
vsw_set_stuck(struct vsw *sw, vsw_log_fn fn)
{
	sw->stuck = fn;
}

int
vsw_service_fd(const struct vsw *sw)
{
	return sw->service_fd;
}

static void
service_learn(struct vsw *sw, uint64_t now_s)
{
	uint64_t note;

	for (unsigned int i = 0; i < LEARN_PER_SERVICE; i++) {
		if (rte_ring_dequeue_elem(sw->learn, &note, sizeof(note)) != 0)
			return;
		vsw_fdb_learn(sw->fdb, note & ((UINT64_C(1) << VSW_LEARN_SHIFT) - 1),
			      (uint16_t)(note >> VSW_LEARN_SHIFT), now_s);
	}
}

static void
service_port(struct vsw_port *port, uint64_t now_ms)
{
	bool more;

	if (port->fn == NULL)
		return;
	if (__atomic_exchange_n(&port->attention, 0, __ATOMIC_ACQ_REL) != 0)
		more = nfed_control_run(port->fn);
	else
		more = nfed_control_poll(port->fn, now_ms);
	if (more) /* others first */
		vsw_owner_ops.attention(port);
}

void
vsw_service(struct vsw *sw)
{
	uint64_t now_s = rte_rdtsc() / rte_get_tsc_hz(), junk;
	uint64_t now_ms = rte_rdtsc() / (rte_get_tsc_hz() / 1000);

	if (read(sw->service_fd, &junk, sizeof(junk)) < 0 && errno != EAGAIN)
		vsw_logf(sw, "service eventfd: %s", strerror(errno));
	for (unsigned int i = 0; i < sw->nb_ports; i++)
		service_port(sw->ports[i], now_ms);
	service_learn(sw, now_s);
	if (sw->any_learning && now_s != sw->aged_s) {
		vsw_fdb_age(sw->fdb, now_s, sw->conf.age_s);
		sw->aged_s = now_s;
	}
}
