#!/usr/bin/env bash
# What is in a file? Asks the `magika` model with nothing but curl: as JSON, and with a binary tensor.
#
#   examples/curl.sh [FILE] [HOST:PORT]
set -euo pipefail

file=${1:-$0}
url=http://${2:-localhost:8080}
[ -r "$file" ] || { echo "$file: cannot be read" >&2; exit 1; }
curl -s -o /dev/null "$url/v2" || { echo "$url: nobody answers; start the gateway with: make run" >&2; exit 1; }

# The model's input: 1024 bytes of the file's beginning and 1024 of its end as integers, 256 where there is no byte.
features() {
  { head -c 1024 "$file" | od -An -v -tu1 | tr -s ' \n' ' '; echo
    tail -c 1024 "$file" | od -An -v -tu1 | tr -s ' \n' ' '; echo; } |
    awk 'NR == 1 { for (i = 1; i <= 1024; i++) print (i <= NF ? $i : 256) }
         NR == 2 { for (i = NF - 1023; i <= NF; i++) print (i >= 1 ? $i : 256) }'
}

echo "Is the server ready? And the model?"
curl -s -o /dev/null -w '%{http_code}\n' "$url/v2/health/ready"
curl -s -o /dev/null -w '%{http_code}\n' "$url/v2/models/magika/ready"

echo "What does the model take and give?"
curl -s "$url/v2/models/magika"; echo

echo "The three most likely types of $file, as PROBABILITY:INDEX:LABEL, with the tensor as JSON:"
{ printf '{"inputs": [{"name": "bytes", "shape": [1, 2048], "datatype": "INT32", "data": ['
  features | paste -sd ,
  printf ']}], "outputs": [{"name": "target_label", "parameters": {"classification": 3}}]}'; } |
  curl -s --fail-with-body "$url/v2/models/magika/infer" -H 'Content-Type: application/json' --data-binary @-; echo

echo "The same with the tensor in binary (int32, little-endian) behind a JSON head, whose length a header tells:"
head='{"inputs": [{"name": "bytes", "shape": [1, 2048], "datatype": "INT32", "parameters": {"binary_data_size": 8192}}],
 "outputs": [{"name": "target_label", "parameters": {"classification": 3}}]}'
{ printf '%s' "$head"; features | perl -ne 'print pack "l<", $_'; } |
  curl -s --fail-with-body "$url/v2/models/magika/infer" -H "Inference-Header-Content-Length: ${#head}" \
    -H 'Content-Type: application/octet-stream' --data-binary @-; echo
