/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a module of the backend that is linked with the stand-in: what a test
 * asks of the devices, from the environment.
 *
 *   SIMT_DEVICES	number of devices; 1 by default
 *   SIMT_MEMORY	bytes of device 0, of device 1 ..., as 1000,2000
 *   SIMT_CAPABILITY	compute capabilities in the same way, as 80,90
 *   SIMT_FAIL		"CALL N": the N-th call of CALL fails ("cudaMalloc 2");
 *			"kernel N": the N-th launch gives a sticky error
 */
#include <cuda_runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The i-th number of a list in the environment; 0 if there is none. */
static unsigned long long
module_env_number(const char *name, int i)
{
	const char	*s = getenv(name);

	for (; s != NULL && i > 0; i--)
		s = strchr(s, ',') != NULL ? strchr(s, ',') + 1 : NULL;
	return (s != NULL ? strtoull(s, NULL, 10) : 0);
}

/* Read the environment when the module is opened. */
__attribute__((constructor)) static void
module_env()
{
	const char	*s;
	char		 call[64];
	unsigned long long v;
	int		 i, n = 1;

	simt_device(0);		/* there is one, unless SIMT_DEVICES is set */
	if ((s = getenv("SIMT_DEVICES")) != NULL)
		n = atoi(s);
	simt_set_devices(n);
	for (i = 0; i < n; i++) {
		if ((v = module_env_number("SIMT_MEMORY", i)) > 0)
			simt_device(i)->totalGlobalMem = v;
		if ((v = module_env_number("SIMT_CAPABILITY", i)) > 0) {
			simt_device(i)->major = (int)v / 10;
			simt_device(i)->minor = (int)v % 10;
		}
	}
	if ((s = getenv("SIMT_FAIL")) != NULL &&
	    sscanf(s, "%63s %d", call, &n) == 2)
		simt_fail_at(call, n);
}
