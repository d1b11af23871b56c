/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * xen-resume DOMID: lets a domain that has suspended itself go on where it is, as after a snapshot.
 * Runs in dom0. xl 4.17 can do that only with the whole memory saved in between.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>
#include <xenguest.h>
#include <xenstore.h>

#define FAST 1 /* the domain sees that its suspend was cancelled, and keeps what it had */

static int
resume(uint32_t domid)
{
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	struct xs_handle *xs = xs_open(0);
	int rc = -1;

	if (xc == NULL || xs == NULL) {
		fprintf(stderr, "xen-resume: no Xen here\n");
	} else if (xc_domain_resume(xc, domid, FAST) != 0 || !xs_resume_domain(xs, domid)) {
		fprintf(stderr, "xen-resume: domain %u: %s\n", domid, strerror(errno));
	} else {
		rc = 0;
	}
	if (xs != NULL)
		xs_close(xs);
	if (xc != NULL)
		xc_interface_close(xc);
	return rc;
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: xen-resume DOMID\n");
		return 2;
	}
	return resume((uint32_t)strtoul(argv[1], NULL, 10)) == 0 ? 0 : 1;
}
