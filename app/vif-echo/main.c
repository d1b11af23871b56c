/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * vif-echo: the smallest complete guest application. Receives frames on a VIF with the zero-copy
 * peek calls of DPDK's rte_ring, swaps the MAC addresses, and sends the same buffers back. No EAL,
 * no copies of frames that came in buffers. One thread; the VIF owns all frame memory.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vif.h>

#define BURST 32u    /* cells per round */

static volatile sig_atomic_t stop;
static uint64_t nb_frames, nb_bytes, nb_dropped;

static void
on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void
swap_macs(uint8_t *frame)
{
	uint8_t dst[6];

	memcpy(dst, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, dst, 6);
}

/* A short frame came inside its message: answer with a copy. */
static int
echo_inline(struct vif *vif, const struct vif_rx *rx)
{
	static uint8_t frame[UINT16_MAX];

	memcpy(frame, rx->data, rx->len);
	swap_macs(frame);
	return vif_send(vif, frame, rx->len);
}

/* The frame is in buffers, which are ours now: send them on; vif_reclaim() frees them. */
static int
echo_buffers(struct vif *vif, const struct vif_rx *rx)
{
	unsigned int n = nfe_dma_cells(rx->nb_segs);
	union nfe_msg *cells = vif_send_cells(vif, n);
	uint8_t *frame = vif_buf(vif, rx->seg[0].buf);
	int rc = -1;

	swap_macs(frame);
	if (cells != NULL && vif_msg_dma_segs(vif, cells, n, rx->seg, rx->nb_segs) == n) {
		vif_send_commit(vif, n);
		return 0;
	}
	if (rx->nb_segs == 1) /* too short for a DMA message */
		rc = vif_send(vif, frame, rx->len);
	for (unsigned int i = 0; i < rx->nb_segs; i++)
		vif_buf_put(vif, rx->seg[i].buf);
	return rc;
}

/* One round: what is in the receive ring, as far as answers find room. Returns cells taken. */
static unsigned int
echo_burst(struct vif *vif)
{
	struct rte_ring *ring = vif_recv_ring(vif);
	unsigned int n, used = 0, cells;
	struct rte_ring_zc_data zc;
	struct vif_rx rx;

	vif_reclaim(vif);
	if (rte_ring_free_count(vif_send_ring(vif)) < BURST + NFE_MAX_SEGS)
		return 0;
	n = rte_ring_dequeue_zc_burst_elem_start(ring, NFE_MSG_SIZE, BURST, &zc, NULL);
	while (used < n) { /* first up to the end of the array, then from its start */
		bool first = used < zc.n1;
		union nfe_msg *at = first ? (union nfe_msg *)zc.ptr1 + used
					  : (union nfe_msg *)zc.ptr2 + (used - zc.n1);

		cells = vif_msg_read(vif, at, (first ? zc.n1 : n) - used, &rx);
		if (cells == 0) /* goes on beyond this burst: next round */
			break;
		used += cells;
		if (rx.len == 0) /* no frame in it */
			continue;
		nb_frames++;
		nb_bytes += rx.len;
		nb_dropped += (rx.nb_segs == 0 ? echo_inline : echo_buffers)(vif, &rx) != 0;
	}
	rte_ring_dequeue_zc_elem_finish(ring, used);
	vif_refill(vif, BURST);
	vif_kick(vif);
	return used;
}

static int
usage(FILE *out)
{
	fprintf(out, "usage: vif-echo [--sleep] ADDRESS\n"
		     "  ADDRESS  vfio-user:PATH of the VIF's socket, or xen:N in a Xen domain\n"
		     "  --sleep  sleep when there is nothing to do, instead of polling\n");
	return out == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "sleep", no_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct vif_conf conf = { .name = "vif-echo" };
	struct vif *vif;
	int opt;

	while ((opt = getopt_long(argc, argv, "sh", options, NULL)) != -1) {
		if (opt != 's')
			return usage(opt == 'h' ? stdout : stderr);
		conf.sleep = true;
	}
	if (optind + 1 != argc)
		return usage(stderr);
	vif = vif_attach(argv[optind], &conf);
	if (vif == NULL)
		return EXIT_FAILURE;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	printf("vif-echo: ready\n");
	fflush(stdout);
	while (!stop && !vif_lost(vif)) /* 200 ms: a signal just before the wait is seen after it */
		if (echo_burst(vif) == 0 && (!conf.sleep || vif_wait(vif, 200000) == 1))
			rte_pause();
	printf("vif-echo: %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " not answered\n",
	       nb_frames, nb_bytes, nb_dropped);
	vif_detach(vif);
	return stop ? EXIT_SUCCESS : EXIT_FAILURE;
}
