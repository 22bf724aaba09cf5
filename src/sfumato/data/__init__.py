"""Labelled records: built-in digits, folders in hub layout, hub ids, any torch data set.

Importing this needs torch alone; pictures and parquet files need `sfumato[data]`.
"""

from sfumato.data.digits import digits as digits
from sfumato.data.hub import HubPictures as HubPictures
from sfumato.data.hub import open_hub as open_hub
from sfumato.data.load import load as load
from sfumato.data.load import splits as splits
from sfumato.data.load import take as take
from sfumato.data.manifest import Manifest as Manifest
from sfumato.data.manifest import Shard as Shard
from sfumato.data.order import stratified_order as stratified_order
from sfumato.data.records import Labelled as Labelled
from sfumato.data.records import Records as Records
from sfumato.data.records import check_batch as check_batch
from sfumato.data.records import gather as gather
from sfumato.data.released import Released as Released
from sfumato.data.released import open_released as open_released
