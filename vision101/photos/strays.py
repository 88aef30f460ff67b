"""The files of a collection that are taken for no photos: none is left out in silence."""

import os
from collections import defaultdict
from pathlib import Path

from vision101.photos.layouts import COMPANION_FOLDERS


def describe_strays(folder: Path, listed: set[Path], ignored_names: tuple[str, ...]) -> list[str]:
    """Return what other files than those `listed` are below `folder`, a phrase for each kind."""
    strays = defaultdict(list)
    class_folders = {path.relative_to(folder).parts[0] for path in listed}
    for place, _, names in os.walk(folder):
        for path in {Path(place, name) for name in names} - listed:
            *above, name = path.relative_to(folder).parts
            companion = next((part for part in above if part.lower() in COMPANION_FOLDERS), "")
            if companion:
                strays["in folders of other programs"].append(companion)
            elif name.endswith(".icloud"):
                strays["not downloaded from iCloud yet"].append(name)
            elif name.lower() in ignored_names or name.startswith("._"):
                continue
            elif above and above[0] in class_folders:
                strays["hidden or in no class"].append(name)
            else:
                strays["beside the class folders"].append(f"{above[0]}/" if above else name)
    return [
        f"Left out: {len(names)} files {kind} ({', '.join(sorted({*names})[:3])}"
        f"{', …' if len({*names}) > 3 else ''})"
        for kind, names in strays.items()
    ]
