/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Bus boundary of the host end: what a driver needs from whatever the function is attached by.
 * vfio-user is nfe_bus_vfio_user.c, Xen nfe_bus_xen.c; PCI comes with the PMD; tests have a fake.
 *
 * Called with the lock of struct nfeh held, except kick() and doorbell stores, which data threads
 * make at any time, also while the device is away: neither may block or fault then.
 */
#ifndef NFE_BUS_H
#define NFE_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nfe_bus;

struct nfe_bus_mem { /* page-aligned, zeroed; a multiple of the page size */
	void *addr;
	size_t len;
	uint64_t iova; /* what the device calls it */
	int fd;        /* for mem_map(), from offset 0; -1: this bus needs none */
	void *handle;  /* the bus's own */
};

/* What other processes need to ring the doorbells: fds for mmap(2) and vfio_user_signal(). */
struct nfe_bus_share {
	int db_fd; /* the doorbell pages, from db_offset */
	uint64_t db_offset;
	size_t db_len;
	int kick_fd; /* wakes the device, whatever the channel */
};

struct nfe_bus_ops {
	const char *name; /* prefix of an address: "vfio-user" */
	bool own_memory;  /* the device can be let into nothing but what mem_alloc() gave */
	/* Is the device at this address let into all memory of this machine, where an IOVA is a
	 * physical address + *iova_base? NULL: no, or it has no choice. */
	bool (*takes_physical)(const char *address, uint64_t *iova_base);
	unsigned int answer_ms; /* how long the device may take for the first connect, GO, RESET, a
				 * request; 0: 2000 */
	/* address is what follows "name:". Allocates only; connects nothing. */
	int (*create)(const char *address, struct nfe_bus **bus);
	void (*destroy)(struct nfe_bus *bus);
	/* Attach, or attach again after the device's death: the doorbell pages are mapped over the
	 * same addresses, interrupt eventfds set again. Errors as connect(2), -EBUSY, -EPROTO,
	 * -ENODEV: there is something else than an NFE. */
	int (*connect)(struct nfe_bus *bus, unsigned int timeout_ms);
	void (*disconnect)(struct nfe_bus *bus);
	/* Poll it for POLLHUP|POLLRDHUP: the device died. -1: nothing tells; registers are read
	 * now and then to see whether it was reset or taken away. */
	int (*hup_fd)(struct nfe_bus *bus);
	int (*reg_read)(struct nfe_bus *bus, uint32_t reg, uint32_t *value); /* page 0 of BAR0 */
	int (*reg_write)(struct nfe_bus *bus, uint32_t reg, uint32_t value);
	/* Memory that the device can be let into, for as long as the bus lives: the control queues,
	 * and whatever else a client has to put there. mem_map() makes it reachable. Before the
	 * first connect: some buses show the device all of it at once. Both NULL: any memfd will
	 * do, and its address is its IOVA. */
	int (*mem_alloc)(struct nfe_bus *bus, size_t len, struct nfe_bus_mem *mem);
	void (*mem_free)(struct nfe_bus *bus, struct nfe_bus_mem *mem);
	/* Let the device reach [iova, iova + len), which is addr in this process and fd_offset in
	 * fd. -EBADF: this bus needs memory with a file descriptor and there is none. */
	int (*mem_map)(struct nfe_bus *bus, uint64_t iova, void *addr, size_t len, int fd,
		       uint64_t fd_offset);
	int (*mem_unmap)(struct nfe_bus *bus, uint64_t iova, size_t len);
	/* For poll(2) alone: becomes readable on this interrupt vector; same fd from the first
	 * connect on. -1: no interrupt, look by yourself. */
	int (*irq_fd)(struct nfe_bus *bus, unsigned int vector);
	/* Any thread. clear: not readable until the next interrupt; raise: readable, as if the
	 * device had. Neither may block, whatever the device does to what it shares. Both NULL:
	 * irq_fd is a non-blocking eventfd that no device can get at. */
	void (*irq_clear)(struct nfe_bus *bus, unsigned int vector);
	void (*irq_raise)(struct nfe_bus *bus, unsigned int vector);
	/* Wake the device for this channel. Any thread. */
	void (*kick)(struct nfe_bus *bus, unsigned int channel);
	/* The same, and hear whether the device takes it: enum nfe_trigger (3.4), -ENODEV if it is gone.
	 * Only with NFE_F_TRIGGER. NULL: not on this bus. */
	int (*ring)(struct nfe_bus *bus, unsigned int channel);
	/* Only where a kick may need a round trip that a data thread must not make: the control
	 * thread polls the fd for reading and calls deferred(). Both NULL otherwise. */
	int (*deferred_fd)(struct nfe_bus *bus);
	void (*deferred)(struct nfe_bus *bus);
	/* For other processes to map and kick; fds stay the bus's, until the next disconnect.
	 * -ENOTSUP, or NULL: not on this bus. -ENOTCONN: not now. */
	int (*share)(struct nfe_bus *bus, struct nfe_bus_share *share);
};

struct nfe_bus { /* first member of each bus's own structure */
	const struct nfe_bus_ops *ops;
	uint8_t *db;            /* doorbell page of channel 0; address fixed after first connect */
	unsigned int db_stride; /* bytes */
	unsigned int nb_db;     /* pages, control channel included */
	unsigned int nb_vectors;
	/* Set by nfeh: while connect() runs again nobody uses memory of mem_alloc(). Else a bus that
	 * would have to share it anew fails with -ESTALE, at each attempt. */
	bool quiet;
	/* What the last connect() or mem_alloc() that failed found, or GO: object, value, limit;
	 * or "". */
	char why[160];
};

extern const struct nfe_bus_ops nfe_bus_vfio_user;
extern const struct nfe_bus_ops nfe_bus_xen;

/* Find the bus of "name:address" and create it. -EINVAL: no such name. */
int nfe_bus_create(const char *address, struct nfe_bus **bus);
bool nfe_bus_own_memory(const char *address); /* false also where there is no such bus */
bool nfe_bus_takes_physical(const char *address, uint64_t *iova_base); /* likewise */
/* A bus that is not part of this library (the fake of the tests). Before the first attach, on one
 * thread. -ENOSPC: too many. Registering it again is a no-op. */
int nfe_bus_register(const struct nfe_bus_ops *ops);

/* mem_alloc() of the bus, or the memfd in its place. 0 or a negative errno. */
int nfe_bus_mem_alloc(struct nfe_bus *bus, size_t len, struct nfe_bus_mem *mem);
void nfe_bus_mem_free(struct nfe_bus *bus, struct nfe_bus_mem *mem);

#define NFE_BUS_MAX_STRIDE_LOG2 20u /* that a bus believes */
struct nfe_bus_geometry { /* as the device says: the bus checks it */
	uint32_t db_offset, db_stride_log2, trig_stride_log2, max_channels, vectors;
};
/* By reg_read(), for connect(). -ENODEV: no NFE is there; a negative errno of the bus. why says it. */
int nfe_bus_read_geometry(struct nfe_bus *bus, struct nfe_bus_geometry *g);

/* irq_clear() and irq_raise() of the bus, or the eventfd's. Nothing without that vector. */
void nfe_bus_irq_clear(struct nfe_bus *bus, unsigned int vector);
void nfe_bus_irq_raise(struct nfe_bus *bus, unsigned int vector);

#endif /* NFE_BUS_H */
