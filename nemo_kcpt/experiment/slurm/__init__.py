"""Jobs on Slurm, through nemo-run: checked before they wait in a queue, then shown or submitted as a graph."""

from nemo_kcpt.experiment.slurm.jobs import Job, Resources, command_job, stage_jobs
from nemo_kcpt.experiment.slurm.launch import launch_graph
from nemo_kcpt.experiment.slurm.site import Site, resources_from, site_from
from nemo_kcpt.experiment.slurm.train_job import train_job

__all__ = [
    "Job",
    "Resources",
    "Site",
    "command_job",
    "launch_graph",
    "resources_from",
    "site_from",
    "stage_jobs",
    "train_job",
]
