//! The two trainings every family consists of: on images that need no protection, and privately.

use standin_data::{ImageSet, Seed};
use standin_nn::{
    DeviceChoice, Module, Plan, PrivatePlan, Records, Watch, fit, fit_private_watched, fit_watched, values, with_values,
};
use standin_privacy::{Adjacency, Budget, Guarantee, Ledger};

use super::denoiser::{Diffusion, ImageArchitecture, ImageDiffusion};
use super::low_rank::Adapters;
use super::objective::Objective;
use super::options::{PrivateOptions, TrainingOptions};
use super::unet::UNet;
use crate::network::Network;
use crate::{Fit, Protection, Result};

/// A network of the same values on the training device.
pub(crate) fn trainable<N: Network>(network: &N, architecture: &N::Architecture) -> N {
    let device = DeviceChoice::chosen().training();
    with_values(N::new(architecture, Seed::new(0), &device), &values(network))
}

/// Trains the U-Net of `model` on images that need no protection; `planes` of them.
pub(crate) fn train<N: Diffusion>(
    run: &Fit<'_>,
    phase: &str,
    model: N,
    architecture: &N::Architecture,
    (objective, planes): (&Objective<'_>, usize),
    options: &TrainingOptions,
) -> Result<N> {
    let rows: Vec<usize> = (0..planes).collect();
    train_on(run, phase, model, architecture, (objective, &rows), options)
}

/// As [`train`], on the planes of these rows: an epoch sees each row once.
pub(crate) fn train_on<N: Diffusion>(
    run: &Fit<'_>,
    phase: &str,
    model: N,
    architecture: &N::Architecture,
    (objective, rows): (&Objective<'_>, &[usize]),
    options: &TrainingOptions,
) -> Result<N> {
    let device = DeviceChoice::chosen().training();
    let plan = planned(run, phase, rows.len(), options);
    let checkpoints = run.checkpoints(phase)?;
    let mut samples = run.watch(phase, architecture, |model: N| model)?;
    let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<N>);
    let fitted = fit_watched(
        model,
        &options.optimization(),
        &plan,
        checkpoints.as_ref(),
        watch,
        run.progress,
        |model, batch| {
            let planes: Vec<usize> = batch.indices.iter().map(|&row| rows[row]).collect();
            Ok(objective.losses(model.unet(), None, &planes, batch.seed, &device).mean())
        },
    )?;
    Ok(fitted.model)
}

/// Trains adapters beside a network that stays as it is, on images that need no protection, and folds them into it.
pub(crate) fn train_adapters(
    run: &Fit<'_>,
    unet: UNet,
    adapters: Adapters,
    (objective, rows): (&Objective<'_>, &[usize]),
    options: &TrainingOptions,
) -> Result<UNet> {
    let device = DeviceChoice::chosen().training();
    let plan = planned(run, "adaptation", rows.len(), options);
    let checkpoints = run.checkpoints("adaptation")?;
    let frozen = unet.no_grad();
    let fitted = fit(
        adapters,
        &options.optimization(),
        &plan,
        checkpoints.as_ref(),
        run.progress,
        |adapters: &Adapters, batch| {
            let planes: Vec<usize> = batch.indices.iter().map(|&row| rows[row]).collect();
            Ok(objective.losses(&frozen, Some(adapters), &planes, batch.seed, &device).mean())
        },
    )?;
    Ok(fitted.model.folded(frozen.valid()))
}

/// The steps of a training on so many rows.
fn planned(run: &Fit<'_>, phase: &str, rows: usize, options: &TrainingOptions) -> Plan {
    let order = run.seed.derive(phase).derive("order");
    let plan = Plan::epochs(rows, options.batch_size, options.epochs, order);
    Plan { steps: plan.steps.max(options.least_steps), ..plan }
}

/// The private part of a fit: what may be spent, by whom, and what already was.
pub(crate) struct Account<'a> {
    pub(crate) protection: &'a Protection,
    pub(crate) budget: Budget,
    pub(crate) records: &'a Records,
    /// What was spent before.
    pub(crate) before: Ledger,
}

impl<'a> Account<'a> {
    /// An account in which nothing is spent yet.
    ///
    /// # Errors
    /// If there is no protection, or the target is not one for so many units.
    pub(crate) fn open(protection: &'a Protection, records: &'a Records) -> Result<Self> {
        let budget = protection.target.budget(records.units())?;
        let before = Ledger::new(protection.unit.clone(), Adjacency::AddRemove, protection.noise);
        Ok(Self { protection, budget, records, before })
    }
}

/// The classes under which public images are learnt before private ones of `classes` classes: their own labels, in turn where
/// there are more of them than private classes; none where they have no labels. The private training moves each class on.
pub(crate) fn public_classes(public: &ImageSet, classes: usize) -> Vec<u32> {
    match public.labels() {
        Some(labels) => labels.values.iter().map(|&label| label % classes as u32).collect(),
        None => vec![classes as u32; public.len()],
    }
}

/// Trains privately what `losses` are computed with. `watch` sees networks that are covered by the guarantee.
fn train_module<M: Module>(
    run: &Fit<'_>,
    phase: &str,
    model: M,
    account: &Account<'_>,
    options: &PrivateOptions,
    watch: Option<&mut dyn Watch<M>>,
    mut losses: impl FnMut(&M, &[usize], Seed) -> standin_nn::tensor::Tensor<1>,
) -> Result<(M, Guarantee)> {
    let Account { protection, budget, records, before } = account;
    let privacy = options.privacy(records.units(), protection.noise);
    let seed = run.seed.derive(phase);
    let plan = PrivatePlan { privacy: &privacy, budget: *budget, records, before: Some(before), seed };
    let checkpoints = run.checkpoints(phase)?;
    let fitted = fit_private_watched(
        model,
        &options.optimization(),
        plan,
        checkpoints.as_ref(),
        watch,
        run.progress,
        |model, batch| Ok(losses(model, batch.indices, batch.seed)),
    )?;
    let mut guarantee = fitted.guarantee;
    if let Some(public) = run.public {
        guarantee.not_covered.push(format!("the public images, {}, and what was learnt from them", public.describe()));
    }
    Ok((fitted.model, guarantee))
}

/// Trains an image model privately, all its parameters.
pub(crate) fn train_privately(
    run: &Fit<'_>,
    model: ImageDiffusion,
    architecture: &ImageArchitecture,
    objective: &Objective<'_>,
    account: &Account<'_>,
    options: &PrivateOptions,
) -> Result<(ImageDiffusion, Guarantee)> {
    let device = DeviceChoice::chosen().training();
    let mut samples = run.watch("private", architecture, |model: ImageDiffusion| model)?;
    let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<ImageDiffusion>);
    train_module(run, "private", model, account, options, watch, |model, rows, seed| {
        objective.losses(&model.unet, None, rows, seed, &device)
    })
}

/// Trains the network of a latent model privately, all its parameters.
pub(crate) fn train_network_privately(
    run: &Fit<'_>,
    unet: UNet,
    objective: &Objective<'_>,
    account: &Account<'_>,
    options: &PrivateOptions,
) -> Result<(UNet, Guarantee)> {
    let device = DeviceChoice::chosen().training();
    train_module(run, "private", unet, account, options, None, |unet, rows, seed| {
        objective.losses(unet, None, rows, seed, &device)
    })
}

/// Trains adapters privately beside a network that stays as it is, and folds them into it.
pub(crate) fn train_adapters_privately(
    run: &Fit<'_>,
    unet: UNet,
    adapters: Adapters,
    objective: &Objective<'_>,
    account: &Account<'_>,
    options: &PrivateOptions,
) -> Result<(UNet, Guarantee)> {
    let device = DeviceChoice::chosen().training();
    let frozen = unet.no_grad();
    let (adapters, guarantee) =
        train_module(run, "private", adapters, account, options, None, |adapters, rows, seed| {
            objective.losses(&frozen, Some(adapters), rows, seed, &device)
        })?;
    Ok((adapters.folded(frozen.valid()), guarantee))
}
