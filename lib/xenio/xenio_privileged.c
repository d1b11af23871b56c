/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The real implementation with the rights of dom0: libxenctrl tells how a domain is,
 * libxenforeignmemory maps what a domain did not grant. A file and a library of its own, because
 * libxenctrl comes with each Xen release anew: guests must not depend on it. Control thread of
 * vif-switch.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "xenio.h"

#ifdef XENIO_HAVE_LIBXEN
#include <xenctrl.h>
#include <xenforeignmemory.h>

#include "xenio_real.h"

struct privileged {
	struct xenio_real real;
	struct xenio_ops ops;
	xc_interface *xc;
	xenforeignmemory_handle *fmem; /* NULL: not used yet */
};

static struct privileged *
to_privileged(struct xenio *x)
{
	return (struct privileged *)(void *)x;
}

static void
privileged_close(struct xenio *x)
{
	struct privileged *p = to_privileged(x);

	if (p->fmem != NULL)
		xenforeignmemory_close(p->fmem);
	if (p->xc != NULL)
		xc_interface_close(p->xc);
	xenio_real_close(x);
}

/* The call gives the next domain there is: that may be another one. */
static int
privileged_domain_info(struct xenio *x, uint16_t domid, struct xenio_domain *info)
{
	xc_dominfo_t di;
	int n = xc_domain_getinfo(to_privileged(x)->xc, domid, 1, &di);

	if (n < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	if (n != 1 || di.domid != domid)
		return -ENOENT;
	*info = (struct xenio_domain){
		.domid = domid,
		.dying = di.dying,
		.shutdown = di.shutdown,
		.crashed = di.crashed,
		.hvm = di.hvm,
		.nr_pages = di.nr_pages,
	};
	return 0;
}

/* 0, or the error of the first page that could not be mapped. */
static int
first_error(const int *err, unsigned int nb_pages)
{
	for (unsigned int i = 0; i < nb_pages; i++)
		if (err[i] != 0)
			return err[i] < 0 ? err[i] : -err[i];
	return 0;
}

static int
privileged_foreign_map(struct xenio *x, uint16_t domid, const uint64_t *gfns,
		       unsigned int nb_pages, void **addr)
{
	struct privileged *p = to_privileged(x);
	xen_pfn_t *pfns = calloc(nb_pages, sizeof(*pfns));
	int *err = calloc(nb_pages, sizeof(*err));
	int rc = -ENOMEM;

	if (p->fmem == NULL)
		p->fmem = xenforeignmemory_open(NULL, 0);
	if (pfns == NULL || err == NULL || p->fmem == NULL)
		goto out;
	for (unsigned int i = 0; i < nb_pages; i++)
		pfns[i] = gfns[i];
	*addr = xenforeignmemory_map(p->fmem, domid, PROT_READ | PROT_WRITE, nb_pages, pfns, err);
	rc = *addr == NULL ? -errno : first_error(err, nb_pages);
	if (*addr != NULL && rc < 0)
		xenforeignmemory_unmap(p->fmem, *addr, nb_pages);
out:
	free(pfns);
	free(err);
	return rc;
}

static void
privileged_foreign_unmap(struct xenio *x, void *addr, unsigned int nb_pages)
{
	xenforeignmemory_unmap(to_privileged(x)->fmem, addr, nb_pages);
}

int
xenio_open_privileged(struct xenio **x)
{
	struct xenio_real *real;
	struct privileged *p;
	int rc = xenio_real_create(sizeof(*p), &real);

	if (rc < 0)
		return rc;
	p = to_privileged(&real->x);
	p->ops = xenio_real_ops;
	p->ops.close = privileged_close;
	p->ops.domain_info = privileged_domain_info;
	p->ops.foreign_map = privileged_foreign_map;
	p->ops.foreign_unmap = privileged_foreign_unmap;
	p->real.x.ops = &p->ops;
	p->xc = xc_interface_open(NULL, NULL, 0);
	if (p->xc == NULL) {
		privileged_close(&real->x);
		return -ENODEV;
	}
	*x = &real->x;
	return 0;
}

#else

int
xenio_open_privileged(struct xenio **x)
{
	(void)x;
	return -ENOSYS;
}
#endif
