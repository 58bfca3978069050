/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a module of the backend that is linked with the stand-in: what a test
 * asks of the devices, from the environment.
 *
 *   SIMT_MEMORY	bytes of device 0
 *   SIMT_CAPABILITY	compute capability of device 0, as 80
 *   SIMT_FAIL		"CALL N": the N-th call of CALL fails ("cudaMalloc 2");
 *			"kernel N": the N-th launch gives a sticky error
 *   SIMT_DEVICES	0: there is no device
 */
#include <cuda_runtime.h>

#include <stdio.h>
#include <stdlib.h>

/* Read the environment when the module is opened. */
__attribute__((constructor)) static void
module_env()
{
	const char	*s;
	char		 call[64];
	int		 n;

	simt_device(0);		/* there is one, unless SIMT_DEVICES is set */
	if ((s = getenv("SIMT_MEMORY")) != NULL)
		simt_device(0)->totalGlobalMem = strtoull(s, NULL, 10);
	if ((s = getenv("SIMT_CAPABILITY")) != NULL) {
		simt_device(0)->major = atoi(s) / 10;
		simt_device(0)->minor = atoi(s) % 10;
	}
	if ((s = getenv("SIMT_FAIL")) != NULL &&
	    sscanf(s, "%63s %d", call, &n) == 2)
		simt_fail_at(call, n);
	if ((s = getenv("SIMT_DEVICES")) != NULL)
		simt_set_devices(atoi(s));
}
