#!/usr/bin/env bash
# Runs the examples of the README into a folder (default: a temporary one) and checks what they leave behind.
#   bash examples/run.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet
standin="$PWD/target/release/standin"
examples="$PWD/examples"
folder="${1:-$(mktemp -d)}"
mkdir -p "$folder"
cd "$folder"

echo '-- images of your own: folders named by class'
"$standin" data export digits --as class-folders --out pictures
"$standin" data import pictures --out set
"$standin" data info set
"$standin" data split set --train 0.4 --holdout 0.4 --test 0.2 --out sides

echo '-- a study of your own'
cp "$examples/own-images.toml" .
"$standin" bench own-images.toml --quiet --out report
test -s report/report.html

echo '-- the same from the store, for scripts'
"$standin" bench own-images.toml --quiet --json --out report > summary.json
"$standin" runs list --kind summarise
"$standin" runs verify

echo '-- one generator sampled from timidly to boldly'
"$standin" bench "$examples/sweep.toml" --quiet --out sweep
test -s sweep/report.html

echo '-- canaries in what is released: what it will cost, and what they show'
"$standin" bench "$examples/canaries.toml" --dry-run
"$standin" bench "$examples/canaries.toml" --quiet --out canaries
grep -q 'id="canaries"' canaries/report.html

echo '-- an audit of images made elsewhere: here real ones stand in for them, so that nothing is copied'
"$standin" audit --train sides@train --holdout sides@holdout --synthetic honest=sides@test --encoder pixels \
  --classifier logistic --repetitions 1 --gate 'scores.copies_share < 0.05' --filter-copies kept --quiet --out audit
test -s audit/report.html && test -s kept/left-out.csv

echo '-- number plates that nobody has: which of those trained on do synthetic photos show?'
(cd "$examples/.." && cargo build --release --quiet -p standin -p standin-data --example plates)
"$examples/../target/release/examples/plates" plates
"$standin" audit --unit identity --identity plate --train plates/train --holdout plates/holdout \
  --synthetic plates/honest --synthetic plates/leaking --encoder scattering --quiet --out plates/report
test -s plates/report/leaking/identities.csv

echo '-- images of a minority: half of the digits dark on light, and three of each to learn that from'
(cd "$examples/.." && cargo build --release --quiet -p standin -p standin-data --example minority)
"$examples/../target/release/examples/minority" digits inverted minority
"$standin" augment run "$examples/augmentation.toml" --data minority --dry-run
"$standin" augment run "$examples/augmentation.toml" --data minority --quiet --out augmentation --images made
test -s augmentation/report.html && test -d made/few
"$standin" generate --train minority --generator dual-edm --set network.width=16 --set training.least_steps=100 \
  --set training.epochs=1 --out told --quiet
"$standin" augment translate told --sources minority@group=majority --to minority --strength 0.8 --out translated \
  --grid translated.png --sweep 0.4,0.8
test -s translated.png

echo '-- membership inference on images, on a classifier, and on a generator'
"$standin" attack --synthetic sides@test --members sides@train --non-members sides@holdout --attacks gan-leaks,monte-carlo
"$standin" classify --train sides@train --test sides@test --classifier logistic --out attacked
"$standin" attack --classifier attacked --members sides@train --non-members sides@holdout --json --scores scores.csv
"$standin" generate --train sides@train --generator vae --set least_steps=200 --set epochs=1 --out opened --quiet
"$standin" attack --generator opened --members sides@train --non-members sides@holdout
test -s scores.csv

echo '-- one number, from images and from their features'
"$standin" measure --real sides@train --synthetic sides@test --measures fd,precision,recall --save-features features
"$standin" measure --real features/real.npy --synthetic features/synthetic.npy --measures fd --json

echo '-- a private generator, and images drawn from it'
"$standin" generate --train sides@train --generator dp-merf --privacy-epsilon 8 --out generator
"$standin" sample generator --count 300 --balance uniform --out drawn --grid drawn.png
"$standin" measure --real sides@holdout --synthetic drawn --measures fd,precision,recall
grep -q 'ε = 8.00' drawn/README.md && test -s drawn.png

# The first Python here that has NumPy: a system's package belongs to the system's own.
python=$(for each in python3 /usr/bin/python3; do "$each" -c 'import numpy' 2>/dev/null && echo "$each" && break; done || true)
if [ -n "$python" ]; then
  echo '-- private evolution of what a program draws'
  "$standin" generate --train sides@train --generator private-evolution --privacy-epsilon 8 --set encoder=pixels \
    --set "api.command=[\"$python\", \"$examples/silhouettes.py\"]" --set population=200 --set released=400 --out evolved
  "$standin" sample evolved --count 400 --grid evolved.png --out evolved-images
  test -s evolved.png
else
  echo '-- skipped: private evolution of what a program draws needs Python with NumPy'
fi

echo '-- a private classifier, with its guarantee beside its weights'
"$standin" classify --train sides@train --test sides@test --classifier logistic --out plain
"$standin" classify --train sides@train --test sides@test --classifier cnn --privacy-epsilon 8 --out private
"$standin" classify --load private --test sides@test --json

echo '-- volumes of which two have labels: noisy balls among bars as bright'
(cd "$examples/.." && cargo build --release --quiet -p standin -p standin-segment --example balls)
"$examples/../target/release/examples/balls" balls
"$standin" segment train --images balls --labels balls --labelled 2 --test balls/test.txt --method fba-net-plus \
  --set width=4 --set 'patch=[32, 32, 32]' --set steps=60 --out segmenter --quiet
"$standin" segment predict --model segmenter --images balls --volumes balls/test.txt --out found --quiet
"$standin" segment evaluate --predictions found --references balls --volumes balls/test.txt --images balls --out contours
test -s contours/report.html

echo '-- what noise costs, what a budget buys, and what an attack proves'
"$standin" privacy epsilon --sampling-rate 0.01 --noise-multiplier 1 --steps 10000 --delta 1e-5 --curve epsilon.svg
"$standin" privacy calibrate --epsilon 3 --delta 1e-5 --sampling-rate 0.01 --steps 10000
"$standin" privacy audit --canaries 1000 --guesses 100 --correct 60 --delta 1e-5 --claimed 2
test -s epsilon.svg

echo '-- what there is'
"$standin" list attacks

if [ -d /usr/share/datasets/fashion-mnist ]; then
  echo '-- a public data set from files that are here already'
  "$standin" data get fashion-mnist --out fashion-mnist
else
  echo '-- skipped: Fashion-MNIST is not installed (Debian package dataset-fashion-mnist)'
fi
