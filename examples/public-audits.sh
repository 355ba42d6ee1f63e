#!/usr/bin/env bash
# The two audits of docs/audits.md, on public images that you have:
#   bash examples/public-audits.sh DATA [FOLDER]
# DATA holds ffhq-stylegan2/ (faces, column kind: real or synthetic), ham10000/ (skin lesions, columns label, lesion_id),
# derm-t2im/ (synthetic lesions, column label: benign or malignant) and weights/fid-inception-2015.onnx.
set -euo pipefail
data=$(realpath "${1:?name the folder that holds the images}")
cd "$(dirname "$0")/.."
cargo build --release --quiet
standin="$PWD/target/release/standin"
folder="${2:-$(mktemp -d)}"
mkdir -p "$folder"
cd "$folder"
inception="onnx:$data/weights/fid-inception-2015.onnx#fid-inception"

echo '-- faces: FFHQ against StyleGAN2'
"$standin" data split "$data/ffhq-stylegan2@kind=real" --train 0.5 --holdout 0.5 --test 0 --force --out faces
"$standin" audit --name faces --train faces --synthetic "stylegan2=$data/ffhq-stylegan2@kind=synthetic" \
  --encoder "$inception,scattering,vqvae-codes" --measure all --out faces-report --force

echo '-- skin lesions: what a text-to-image model shows'
"$standin" data split "$data/ham10000" --group lesion_id --train 0.5 --holdout 0.5 --test 0 --force --out lesions
"$standin" audit --name lesions --train lesions --synthetic "t2im=$data/derm-t2im" --no-utility \
  --identity lesion_id \
  --encoder "$inception" --out lesions-report --force

echo '-- skin lesions: what a classifier learns from it'
mkdir -p kinds && ln -sf "$data"/ham10000/* kinds/ && rm -f kinds/metadata.csv
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "label") at = i; print $0 ",kind"; next }
  { print $0 "," ($at ~ /^(akiec|bcc|mel)$/ ? "malignant" : "benign") }' "$data/ham10000/metadata.csv" > kinds/metadata.csv
"$standin" data split kinds --label kind --resize 48x64 --group lesion_id --train 0.4 --holdout 0.3 --test 0.3 \
  --force --out kinds-sides
"$standin" audit --name kinds --train kinds-sides --synthetic "t2im=$data/derm-t2im" --resize 48x64 --augmented \
  --identity lesion_id --group sex,tone --encoder scattering --out kinds-report --force
