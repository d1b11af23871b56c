/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * vif-switch: the NFE in software. Order of start, and the reverse at the end:
 *
 *   options, configuration   nothing is touched while they are wrong
 *   directory lock           one switch per directory, before anything is mapped
 *   descriptors, EAL         threads inherit the blocked signals
 *   switch, events, ports    uplinks started, sockets listen
 *   data lcores, telemetry   vsw_lcore_main() on each worker lcore; then "vif-switch: ready"
 *
 * The main lcore is the control thread: it sleeps in nfed_loop_run() and does all but forwarding.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nfed_dma.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "vifsw.h"

static void
log_switch_line(const char *line)
{
	vifsw_log("%s", line);
}

/* A supervisor starts it again and guests replay: to go on would leave them without answers. */
static void
abort_stuck(const char *line)
{
	vifsw_log_error("%s: aborting", line);
	abort();
}

static int
start_eal(int argc, char **argv)
{
	int rc = rte_eal_init(argc, argv);

	if (rc < 0) {
		vifsw_log_error("EAL cannot start: %s", strerror(rte_errno));
		return -rte_errno;
	}
	if (rte_eal_has_hugepages() == 0)
		vifsw_log("no hugepages: it works, but slower");
	return 0;
}

/* Has its thread ready to signal guests. Without, it goes on: the operator may know his guests. */
static int
prepare_thread(void *arg)
{
	int rc = vfio_user_irq_prepare();

	(void)arg;
	if (rc != 0)
		vifsw_log_error("lcore %u: no kernel AIO (%s, see fs.aio-max-nr): a hostile guest can"
				" block it by its interrupt eventfd", rte_lcore_id(), strerror(-rc));
	return 0;
}

/* Worker lcores become data lcores. */
static int
pick_lcores(struct vsw_conf *conf)
{
	unsigned int lcore;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		if (conf->nb_lcores == VSW_MAX_LCORES) {
			vifsw_log_error("more than %u data lcores", VSW_MAX_LCORES);
			return -E2BIG;
		}
		conf->lcores[conf->nb_lcores++] = lcore;
	}
	if (conf->nb_lcores > 0)
		return 0;
	vifsw_log_error("no lcore to move frames: the main lcore controls only; give at least two,"
			" for example --lcores 0@0,1@0");
	return -EINVAL;
}

static int
create_switch(struct vifsw *s, struct vsw_conf *conf)
{
	int rc;

	conf->max_ports = s->config->max_vifs + VIFSW_MAX_UPLINKS;
	conf->idle_us = s->config->idle_us;
	conf->shared_idle_us = s->config->shared_idle_us;
	conf->uplink_poll_us = s->config->uplink_poll_us;
	conf->flood_mbps = s->config->flood_mbps;
	conf->burst = s->config->burst;
	conf->max_channels = s->config->nb_uplinks;
	for (unsigned int i = 0; i < s->config->nb_vifs; i++)
		conf->max_channels += s->config->vifs[i].max_queues != 0 ?
			s->config->vifs[i].max_queues : nfed_limits_default.max_channels;
	rc = pick_lcores(conf);
	if (rc != 0)
		return rc;
	s->counters_fd = vifsw_counters_open(s->config->socket_dir, conf->nb_lcores, &conf->counters);
	if (s->counters_fd < 0)
		return s->counters_fd;
	rc = vsw_create(conf, &s->sw);
	if (rc != 0) {
		vifsw_log_error("switch of %u ports on %u data lcores cannot be made: %s",
				conf->max_ports, conf->nb_lcores, strerror(-rc));
		vifsw_counters_close(s->config->socket_dir, conf->nb_lcores, conf->counters,
				     s->counters_fd);
		return rc;
	}
	vsw_set_log(s->sw, log_switch_line);
	vsw_set_stuck(s->sw, abort_stuck);
	s->nb_lcores = conf->nb_lcores;
	return 0;
}

/* Ports are added and removed while no data lcore runs: nobody has to be waited for. */
static void
stop_lcores(struct vifsw *s)
{
	vsw_stop(s->sw);
	rte_eal_mp_wait_lcore();
}

static int
launch_lcores(struct vifsw *s, const struct vsw_conf *conf)
{
	for (unsigned int i = 0; i < conf->nb_lcores; i++) {
		int rc = rte_eal_remote_launch(vsw_lcore_main, s->sw, conf->lcores[i]);

		if (rc != 0) {
			vifsw_log_error("data lcore %u cannot start: %s", conf->lcores[i],
					strerror(-rc));
			stop_lcores(s);
			return rc;
		}
	}
	return 0;
}

/* Until a signal ends it. */
static int
serve(struct vifsw *s)
{
	int rc = 0;

	vifsw_control_pace(s);
	vifsw_log("%u VIFs in %s, %u uplinks, %u data lcores", s->nb_guests, s->config->socket_dir,
		  s->config->nb_uplinks, s->nb_lcores);
	vifsw_log("ready");
	while (!s->end && rc >= 0)
		rc = nfed_loop_run(s->loop, -1);
	if (rc < 0)
		vifsw_log_error("event loop: %s", strerror(-rc));
	return rc < 0 ? rc : 0;
}

/* With the event loop there. */
static int
run(struct vifsw *s)
{
	struct vsw_conf conf = { .nb_lcores = 0 };
	int rc = create_switch(s, &conf);

	if (rc != 0)
		return rc;
	rc = vifsw_control_start(s);
	if (rc != 0)
		goto destroy_switch;
	rc = vifsw_ports_open(s);
	if (rc != 0)
		goto stop_control;
	rc = launch_lcores(s, &conf);
	if (rc != 0)
		goto close_ports;
	rc = vifsw_telemetry_start(s);
	if (rc != 0)
		goto stop_lcores;
	rc = serve(s);
	vifsw_telemetry_stop(s);
stop_lcores:
	stop_lcores(s);
close_ports:
	vifsw_ports_close(s);
stop_control:
	vifsw_control_stop(s);
destroy_switch:
	vsw_destroy(s->sw);
	vifsw_counters_close(s->config->socket_dir, conf.nb_lcores, conf.counters, s->counters_fd);
	return rc;
}

/* With the EAL running. */
static int
run_loop(struct vifsw *s)
{
	int rc = nfed_guard_install();

	if (rc != 0) {
		vifsw_log_error("SIGBUS guard cannot be installed: %s", strerror(-rc));
		return rc;
	}
	rte_eal_mp_remote_launch(prepare_thread, NULL, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	s->loop = nfed_loop_create();
	if (s->loop == NULL) {
		rc = -errno;
		vifsw_log_error("event loop cannot be made: %s", strerror(-rc));
		return rc;
	}
	rc = run(s);
	nfed_loop_destroy(s->loop);
	return rc;
}

static int
run_locked(struct vifsw *s, int eal_argc, char **argv)
{
	int lock_fd, rc;

	vifsw_control_block_signals();
	rc = vifsw_dir_lock(s->config->socket_dir, &lock_fd);
	if (rc != 0)
		return rc;
	rc = vifsw_raise_nofile(s->config);
	if (rc == 0)
		rc = start_eal(eal_argc, argv);
	if (rc == 0) {
		rc = run_loop(s);
		rte_eal_cleanup();
	}
	close(lock_fd);
	return rc;
}

int
main(int argc, char **argv)
{
	struct vifsw s = { .signal_fd = -1, .timer_fd = -1, .start_ms = vifsw_now_ms() };
	struct vifsw_options options;
	enum vifsw_todo todo;
	int rc;

	todo = vifsw_options_parse(argc, argv, &options);
	if (todo != VIFSW_RUN)
		return todo == VIFSW_DONE ? 0 : 1;
	if (vifsw_log_init() != 0)
		fprintf(stderr, "vif-switch: log cannot be set up\n");
	if (options.config == NULL)
		return start_eal(options.eal_argc, argv) == 0 ? 0 : 1;
	if (vifsw_options_config(options.config, options.socket_dir, &s.config) != 0)
		return 1;
	rc = run_locked(&s, options.eal_argc, argv);
	vifsw_config_free(s.config);
	if (rc == 0)
		vifsw_log("ended");
	return rc == 0 ? 0 : 1;
}
